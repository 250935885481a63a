"""`twinrank backfill --slice`: which slices there are, and what is said of others."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from click.testing import CliRunner, Result

from indexer.sync.backfill import Slice
from indexer.sync.summary import SyncSummary
from plugin.commands.backfill import JOB_INDEX, SliceType
from plugin.commands.main import main
from plugin.commands.ray_backfill import (
    ANSWER_S,
    RayClusterError,
    SliceReport,
    check_address,
    describe_failure,
)
from plugin.harness.proxy_process import free_port
from tests.support.paths import TINY_BUNDLE


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(main, ["backfill", "books", *arguments], env=variables)


@pytest.mark.parametrize(("text", "found"), [
    ("1/1", Slice(1, 1)), ("2/4", Slice(2, 4)), ("4/4", Slice(4, 4)), ("1000/1000", Slice(1000, 1000)),
])  # fmt: skip
def test_slices_are_counted_from_1(text: str, found: Slice) -> None:
    assert SliceType().convert(text, None, None) == found
    assert str(found) == text


@pytest.mark.parametrize(("text", "reason"), [
    ("0/4", "expected a slice from 1/4 to 4/4, found 0/4: slices are counted from 1"),
    ("5/4", "expected a slice from 1/4 to 4/4, found 5/4"),
    ("1/0", "expected 1 to 1000 slices, found 0"),
    ("1/1001", "expected 1 to 1000 slices, found 1001"),
    ("2", "expected a slice such as 2/4"),
    ("-1/4", "expected a slice such as 2/4"),
    ("1/4 ", "expected a slice such as 2/4"),
    ("\u0661/4", "expected a slice such as 2/4"),
    ("", "expected a slice such as 2/4"),
    ("job/4", "found ''. Kubernetes sets it in a Job with completionMode: Indexed"),
])  # fmt: skip
def test_another_slice_is_refused(text: str, reason: str) -> None:
    done = run("--slice", text)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(("index", "found"), [("0", Slice(1, 4)), ("3", Slice(4, 4))])
def test_a_pod_of_a_job_counts_from_0(index: str, found: Slice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_INDEX, index)
    assert SliceType().convert("job/4", None, None) == found


@pytest.mark.parametrize(("index", "reason"), [
    ("4", "found 5/4"), ("x", "found 'x'"), ("-1", "found '-1'"), ("\u0663", "in JOB_COMPLETION_INDEX"),
])  # fmt: skip
def test_a_pod_without_a_slice_is_refused(index: str, reason: str) -> None:
    done = run(TWINRANK_BACKFILL_SLICE="job/4", **{JOB_INDEX: index})
    assert done.exit_code == 2
    assert reason in done.stderr


def test_an_opensearch_that_is_not_there() -> None:
    done = run("--slice", "1/2", "--upstream", "http://127.0.0.1:1", "--bundle", str(TINY_BUNDLE))
    assert done.exit_code == 1
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize(("arguments", "reason"), [
    ((), "expected --slice I/N or --ray ADDRESS, found neither"),
    (("--slice", "1/2", "--ray", "auto"), "found both"),
    (("--slice", "1/2", "--slices", "4"), "expected --slices and --actors with --ray only"),
    (("--slice", "1/2", "--actors", "4"), "expected --slices and --actors with --ray only"),
    (("--ray", "auto", "--metrics", "127.0.0.1:9101"), "expected --metrics with --slice only"),
])  # fmt: skip
def test_options_that_do_not_go_together(arguments: tuple[str, ...], reason: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert reason in done.stderr


@pytest.mark.parametrize(
    "address", ["head", "head:", ":6379", "head:x", "head:0", "head:65536", "ray://head"]
)
def test_what_is_no_address_of_a_ray_cluster(address: str) -> None:
    done = run("--ray", address)
    assert done.exit_code == 1
    assert f"expected HOST:PORT of a Ray cluster, ray://HOST:PORT or auto, found {address!r}" in done.stderr


def test_no_cluster_on_this_machine_is_said_in_our_words() -> None:
    told = describe_failure("auto", ConnectionError("Please specify one by setting `--address` flag"))
    assert "expected a Ray cluster that runs on this machine" in told
    assert "--address" not in told
    assert "found: too old" in describe_failure("head:6379", RuntimeError("too old"))


@pytest.mark.parametrize("form", ["{}", "ray://{}"])
def test_a_ray_address_that_nobody_answers(form: str) -> None:
    address = form.format(f"127.0.0.1:{free_port()}")
    started = time.monotonic()
    done = run("--ray", address)
    assert done.exit_code == 1
    assert f"expected a Ray cluster at {address}, found nobody who answers" in done.stderr
    assert time.monotonic() - started < ANSWER_S + 5, "loading the bundle is not waited for"


def test_a_host_that_swallows_packets_is_given_up_soon() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    with (
        full,
        socket.create_connection(("127.0.0.1", port)),
        pytest.raises(RayClusterError, match="timed out"),
    ):
        check_address(f"127.0.0.1:{port}")


@pytest.mark.parametrize(("answer", "reason"), [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "found another server"), (b"", "found another server"),
    (None, "nobody who answers: timed out"), (b"\0\0\x18\x04\0\0\0\0\0", None),
])  # fmt: skip
def test_another_server_at_the_address(answer: bytes | None, reason: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while not connection.recv(100).endswith(b"\r\n\r\n"):
                    pass
                if answer is None:
                    connection.recv(1)  # until the other side gives up
                else:
                    connection.sendall(answer)

        served = pool.submit(serve)
        expected = pytest.raises(RayClusterError, match=reason) if reason else nullcontext()
        with expected:
            check_address(f"127.0.0.1:{server.getsockname()[1]}")
        served.result()


def test_what_is_reported_of_all_slices() -> None:
    done = SyncSummary(checked=5, written=3, conflicts=1, slice="1/3").as_json()
    rejected = SyncSummary(checked=5, slice="2/3")
    rejected.reject("books", "7", "too large")
    report = SliceReport(3, {Slice(1, 3): done, Slice(2, 3): rejected.as_json()}, {Slice(3, 3): "gone"}, 2)
    assert not report.is_complete
    found = report.as_json()
    assert (found["slices_done"], found["checked"], found["written"], found["rejected"]) == (1, 10, 3, 1)
    assert found["failed"] == {"3/3": "gone"}
    words = report.in_words()
    for part in ("1 of 3 slices are done", "2 actors died", "books/7: too large", "slice 3/3: gone"):
        assert part in words
    assert SliceReport(1, {Slice(1, 1): done}).is_complete
