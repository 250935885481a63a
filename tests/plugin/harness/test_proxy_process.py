"""The proxy as a process: started, stopped, and nothing left of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from plugin.harness.proxy_process import ProxyError, free_port, running_proxy, start_proxy, stop_proxy
from tests.support.paths import TINY_BUNDLE
from tests.support.processes import children_of

pytestmark = pytest.mark.opensearch_2_19

_ASKED_TO_STOP_WHEN_JUST_FORKED = """
import os
import signal

from gunicorn.app.base import BaseApplication

from plugin.server.arbiter import GracefulArbiter


class Application(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", "127.0.0.1:0")
        self.cfg.set("worker_class", "plugin.server.worker.BufferingWorker")
        self.cfg.set("control_socket_disable", True)
        self.cfg.set("post_fork", lambda master, worker: os.kill(worker.pid, signal.SIGTERM))
        self.cfg.set("child_exit", lambda master, worker: os.kill(master.pid, signal.SIGTERM))

    def load(self):
        return lambda environ, start_response: []


GracefulArbiter(Application()).run()
"""


@pytest.mark.live
def test_stopping_ends_every_worker_and_takes_no_time(opensearch_url: str, tmp_path: Path) -> None:
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE) as proxy:
        workers = children_of(proxy.child.pid)
    assert workers
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert proxy.child.returncode == 0, "it took so long that it was killed"


def test_a_worker_that_has_no_handlers_yet_hears_that_it_shall_stop() -> None:
    command = [sys.executable, "-c", _ASKED_TO_STOP_WHEN_JUST_FORKED]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120.0, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Worker exiting" in ended.stderr


@pytest.mark.live
def test_what_was_recorded_is_stopped_once(opensearch_url: str, tmp_path: Path) -> None:
    proxy = start_proxy(opensearch_url, tmp_path, port=free_port(), bundle=TINY_BUNDLE)
    assert stop_proxy(tmp_path)
    proxy.child.wait()
    assert not stop_proxy(tmp_path)


def test_a_proxy_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProxyError, match="expected a bundle's folder"):
        start_proxy("http://127.0.0.1:1", tmp_path, port=free_port(), bundle=tmp_path / "nothing")
    assert not (tmp_path / "proxy.json").exists()


def test_a_preferred_port_is_taken_where_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port
