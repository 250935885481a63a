"""OpenSearch 3.5.0 with its k-NN plugin, put together from Maven Central: 3.8.0 has none there."""

import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from opensearch.local.artifact import Distribution, install
from opensearch.local.folders import check_disk_space, hold_lock, make_readable
from opensearch.local.java import Java, find_java
from opensearch.local.maven import Maven
from opensearch.local.server import LocalServer
from plugin.commands.local_server import make_local_server

VERSION = "3.5.0"
PLUGIN = f"org.opensearch.plugin:opensearch-knn:{VERSION}.0:zip"


def knn_server(folder: Path) -> LocalServer:
    """Return a server of that distribution on a free port, not started; its data are under `folder`.

    Raises MavenError, DiskSpaceError, FolderError or JavaError.
    """
    server = make_local_server(port=0, folder=folder)
    java = find_java(server.java_home)
    return replace(server, distribution=_assemble(server.home, java))


def _assemble(home: Path, java: Java) -> Path:
    """Return the folder of the server under `home`; assemble it first if it is missing."""
    plain = install(home, java, Distribution(VERSION))
    target = home / f"opensearch-{VERSION}-with-knn"
    with hold_lock(home / "install.lock"):
        if not target.is_dir():
            check_disk_space(home, 1_000_000_000)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                copy = Path(temporary) / "server"
                shutil.copytree(plain, copy)
                with zipfile.ZipFile(Maven(java).copy(PLUGIN, Path(temporary))) as members:
                    members.extractall(copy / "plugins" / "opensearch-knn")
                make_readable(copy)
                copy.rename(target)
    return target
