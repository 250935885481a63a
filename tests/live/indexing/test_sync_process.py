"""`twinrank serve --sync`: the feed beside the proxy, which lives and dies with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port
from tests.support.paths import ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index, with_vector
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


def children_of(pid: int) -> list[int]:
    """Return the processes whose command line is a sync that this one started."""
    listing = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in listing.stdout.splitlines() if " sync " in line]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_it_follows_and_ends_with_the_proxy(
    opensearch_url: str, client: OpenSearch, index_name: str, tmp_path: Path, end: signal.Signals
) -> None:
    make_index(client, index_name)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "plugin", "serve", "--workers", "2",
             "--listen", f"127.0.0.1:{free_port()}",
             "--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE), "--sync", index_name],
            cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        client.index(index=index_name, id="1", body={"text": "around us"})
        until(lambda: with_vector(client, index_name) == 1, within_s=120)
        [child] = children_of(server.pid)
        server.send_signal(end)
        server.wait(60)
        until(lambda: not Path(f"/proc/{child}").exists() or _is_dead(child), within_s=60)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        elif end == signal.SIGKILL:  # its workers notice by themselves, a second later
            time.sleep(2)


def _is_dead(pid: int) -> bool:
    """Whether a process has ended, and only waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
