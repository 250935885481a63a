"""The config folder of the local server, written at each start."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opensearch.local.java import Java

Setting = str | int | bool | list[str]
"""A value in opensearch.yml."""


@dataclass(frozen=True)
class ServerFolders:
    """The folders of one server. Those below belong to the account that it runs as."""

    root: Path

    @property
    def config(self) -> Path:
        """Return the folder of opensearch.yml and jvm.options."""
        return self.root / "config"

    @property
    def data(self) -> Path:
        """Return the folder of the indices: the one that outlives a run."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """Return the folder of the log files."""
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        """Return the folder for the Java machine's temporary files."""
        return self.root / "tmp"

    @property
    def console(self) -> Path:
        """Return the file that takes the server's standard output and error; the caller keeps it."""
        return self.root / "console.log"

    @property
    def process(self) -> Path:
        """Return the file that names the running process."""
        return self.root / "server.json"


def server_settings(folders: ServerFolders, http_port: int, transport_port: int) -> dict[str, Setting]:
    """Return opensearch.yml's settings for one node that only this machine can reach."""
    return {
        "cluster.name": "twinrank",
        "node.name": "twinrank-local",
        "path.data": str(folders.data),
        "path.logs": str(folders.logs),
        "network.host": "127.0.0.1",
        "http.port": http_port,
        "transport.port": transport_port,
        "discovery.type": "single-node",
        # A laptop's disk is often nine tenths full, which would make every index read-only.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }


def jvm_options(original: str, own: Sequence[str], java: Java) -> str:
    """Return the distribution's jvm.options and `own` (heap, ...), without options that cannot work here.

    Log and dump files would go to the distribution's folder, which the server cannot write to; the
    vector module is dropped if `java` lacks it (Lucene then computes without it).
    """
    unwanted = ["-Xms", "-Xmx", "-Xlog:gc", "HeapDump", "ErrorFile"]
    if not java.has_vector_module:
        unwanted.append("jdk.incubator.vector")
    kept = [line for line in original.splitlines() if not any(word in line for word in unwanted)]
    return "\n".join([*kept, *own, ""])


def write_config(
    distribution: Path,
    folders: ServerFolders,
    settings: Mapping[str, Setting],
    java: Java,
    own_options: Sequence[str],
) -> None:
    """Write the config folder: the distribution's files, with these settings and JVM options over them."""
    shutil.rmtree(folders.config, ignore_errors=True)
    shutil.copytree(distribution / "config", folders.config)
    # JSON's values are YAML's, quoted if they need it.
    lines = [f"{name}: {json.dumps(value)}\n" for name, value in settings.items()]
    (folders.config / "opensearch.yml").write_text("".join(lines))
    options = folders.config / "jvm.options"
    options.write_text(jvm_options(options.read_text(), own_options, java))
