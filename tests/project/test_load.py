"""The load and soak commands: their arithmetic, and that they run at all."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.load.__main__ import main as load
from tests.load.generator import Plan, Seen, run, times_of
from tests.load.report import draw, section
from tests.load.series import Point, Series
from tests.soak.__main__ import main as soak
from tests.soak.trends import Sample, trends
from tests.support.paths import TINY_BUNDLE


class _Stalling(BaseHTTPRequestHandler):
    """Answers at once, but one request in the middle holds all others up; fails where the body says so."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    num_requests = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            type(self).num_requests += 1
            if type(self).num_requests == 10:
                time.sleep(0.5)
        self.send_response(500 if body == b"fail" else 200)
        self.send_header("Rerank-Status", "applied; window=1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 512  # else connections are dropped while it stalls, and tried again seconds later


@pytest.fixture
def port() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Stalling) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_stall_is_seen_by_all_who_would_have_come_meanwhile(port: int) -> None:
    """A closed loop would see one slow request; users come whether the server stalls or not."""
    plan = Plan("127.0.0.1", port, "/", ["x"] * 9 + ["fail"], rate=200, seconds=1.0)
    seen = asyncio.run(run(plan))
    assert seen.num_sent == len(times_of(plan))
    assert len(seen.latencies_ms) + seen.num_errors == seen.num_sent
    assert seen.num_errors == seen.num_sent // 10
    assert sum(latency > 100 for latency in seen.latencies_ms) > 30
    assert seen.num_applied == len(seen.latencies_ms)


def test_distinct_bodies_stay_distinct_over_runs() -> None:
    series = Series("s", "http://h:1", "i", [str(number) for number in range(10_000)], repeats=False)
    first, second = series.plan(10, 2, 0), series.plan(10, 2, 1)
    assert not set(first.bodies) & set(second.bodies)
    assert len(first.bodies) > len(times_of(first))


def test_points_become_a_table_and_a_graph(tmp_path: Path) -> None:
    good = Point.of("a", 100, 1.0, [Seen([1.0] * 50 + [9.0] * 50, 100, 50)])
    assert (good.p50, good.answered_s, good.applied, good.is_behind) == (5.0, 100, 0.5, False)
    nothing = Point.of("b", 100, 1.0, [Seen([], 100, 0, num_lost=100)])
    assert nothing.is_behind
    text = section([good, nothing], "a command", "a machine.", ["A remark."])
    assert "| 100 | p50 / p95 / p99, ms | 5.0 / 9.0 / 9.0 |" in text
    files = [tmp_path / name for name in ("one.svg", "two.svg")]
    for file in files:
        draw([good], file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_growth_is_told_from_peaks() -> None:
    def samples(pid: int, growth: float, peak: float) -> list[Sample]:
        return [
            Sample(at, pid, 0.0, 200 + growth * at + (peak if at % 7 == 0 else 0), 30, 40)
            for at in range(0, 600, 10)
        ]

    flat, growing = trends([*samples(1, 0.0, 30.0), *samples(2, 0.1, 0.0)])
    assert (flat.is_flat, growing.is_flat) == (True, False)
    assert growing.slope_mb_h == pytest.approx(360)
    assert growing.growth_mb == pytest.approx(39)


@pytest.mark.live
def test_load_is_measured(opensearch_url: str, is_long: bool) -> None:
    shape = ["--seconds", "2", "--warm-up", "5"] if is_long else ["--seconds", "0.3", "--warm-up", "0"]
    arguments = [*shape, "--rates", "5,20" if is_long else "20", "--rounds", "1", "--documents", "100"]
    result = CliRunner().invoke(
        load, [*arguments, "--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE)]
    )
    assert result.exit_code == 0, result.output
    for part in ("OpenSearch straight", "passed through", "reranked, distinct", "| 20 | p50 / p95 / p99, ms"):
        assert part in result.output


@pytest.mark.live
def test_a_soak_runs(opensearch_url: str, is_long: bool) -> None:
    """Too short to say that memory is flat, so the verdict is not looked at."""
    arguments = ["--minutes", "0.5" if is_long else "0.1", "--every", "1", "--documents", "100", "--no-fill"]
    result = CliRunner().invoke(
        soak, [*arguments, "--upstream", opensearch_url, "--bundle", str(TINY_BUNDLE)]
    )
    assert result.exit_code in (0, 1), result.output
    assert "| 1 |" in result.output
    assert "distinct 200" in result.output
    assert not re.findall(r"[a-z] 5\d\d", result.output), "no request was a fault of ours"
