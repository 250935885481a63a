"""A full disk costs no search: workers that start on it count apart, and none of them ends."""

import os
import signal
from pathlib import Path

import pytest

from tests.chaos.running import is_healthy, spoiled_proxy, wait
from tests.chaos.small_disk import small_disk
from tests.support.http import raw_http

pytestmark = pytest.mark.live


def test_a_full_disk_fails_no_search(opensearch_url: str, core_option: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if not disk.is_own:
            pytest.skip("needs the right to mount a small disk")
        with spoiled_proxy(opensearch_url, tmp_path, disk.folder, core_option) as running:
            disk.fill()
            killed = running.worker_pids()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            wait(lambda: is_healthy(running.url), 120.0, running.log)
            for _ in range(30):
                assert raw_http.search(running.url, "_all", {"size": 0}).status == 200
            assert raw_http.ask(running.url, "GET", "/_plugins/_rerank/metrics").status == 200
            assert not set(killed) & set(running.worker_pids())
            disk.empty()
        assert "SIGBUS" not in running.log.read_text()
