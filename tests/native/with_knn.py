"""OpenSearch 3.5.0 with its k-NN plugin, the newest one on Maven Central, in a folder of its own."""

import shutil
import tempfile
import zipfile
from pathlib import Path

from opensearch.local.artifact import Distribution, install
from opensearch.local.folders import check_disk_space, hold_lock, make_readable
from opensearch.local.java import Java, find_java
from opensearch.local.maven import Maven
from opensearch.local.server import LocalServer
from plugin.commands.local_server import make_local_server

VERSION = "3.5.0"
PLUGIN = f"org.opensearch.plugin:opensearch-knn:{VERSION}.0:zip"


def server_with_knn(folder: Path) -> LocalServer:
    """Return a server of that distribution on a free port, not started; its data are under `folder`.

    Raises MavenError, DiskSpaceError, FolderError or JavaError.
    """
    server = make_local_server(port=0, folder=folder)
    java = find_java(server.java_home)
    server.distribution = _assemble(server.home, java)
    return server


def _assemble(home: Path, java: Java) -> Path:
    """Return the folder of the server under `home`; put it together first if it is missing."""
    plain, target = install(home, java, Distribution(VERSION)), home / f"opensearch-{VERSION}-with-knn"
    with hold_lock(home / "install.lock"):
        if not target.is_dir():
            check_disk_space(home, 1_000_000_000)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                server = Path(temporary) / target.name
                shutil.copytree(plain, server)
                archive = Maven(java).copy(PLUGIN, Path(temporary))
                with zipfile.ZipFile(archive) as members:
                    members.extractall(server / "plugins" / "opensearch-knn")
                make_readable(server)
                server.rename(target)
    return target
