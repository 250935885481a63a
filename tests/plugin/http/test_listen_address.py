"""`--listen` and `--metrics`: what is typed, what is bound, and one sentence if that cannot be."""

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from plugin.harness.proxy_process import free_port
from plugin.http.listen_address import ListenAddress, ListenError, ListenType
from tests.support.paths import ROOT, TINY_BUNDLE


@pytest.mark.parametrize(("text", "host", "port"), [
    ("127.0.0.1:9576", "127.0.0.1", 9576),
    ("9576", "127.0.0.1", 9576),
    ("localhost", "localhost", 9100),
    ("localhost:9576", "localhost", 9576),
    (":9576", "0.0.0.0", 9576),
    ("0.0.0.0:9576", "0.0.0.0", 9576),
    ("[::1]:9576", "::1", 9576),
    ("[::1]", "::1", 9100),
    ("tcp://127.0.0.1:9576", "127.0.0.1", 9576),
    (" 127.0.0.1:0 ", "127.0.0.1", 0),
])  # fmt: skip
def test_what_is_typed(text: str, host: str, port: int) -> None:
    assert ListenType(9100).convert(text, None, None) == ListenAddress(host, port)


@pytest.mark.parametrize("text", [
    "", ":", "x:", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "99999", "-1", "127.0.0.1:-1",
    "[::1]9100",    "::1:9100", "[::1", "a b:9100", "http://127.0.0.1:9100", "127.0.0.1:9100/",
    "me@here:9100", "[fe80::1%eth0]:9100","127.0.0.1:٩١٠٠", "unix:", "unix:/nowhere/at/all.sock", "fd://x",
])  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected"):
        ListenType(9100).convert(text, None, None)


def test_a_port_that_has_no_default_is_needed() -> None:
    with pytest.raises(click.BadParameter, match="expected HOST:PORT"):
        ListenType().convert("localhost", None, None)


@pytest.mark.parametrize(("address", "shown"), [
    (ListenAddress("::1", 9100), "[::1]:9100"),
    (ListenAddress("localhost", 9100).resolved(), "127.0.0.1:9100"),
    (ListenAddress("", 0, "unix:/tmp/x.sock").resolved(), "unix:/tmp/x.sock"),
])  # fmt: skip
def test_what_gunicorn_is_told(address: ListenAddress, shown: str) -> None:
    assert str(address) == shown


def test_a_free_port_stays_free() -> None:
    address = ListenAddress("127.0.0.1", free_port())
    address.check_free()
    with (
        socket.create_server((address.host, address.port)),
        pytest.raises(ListenError, match="is in use"),
    ):
        address.check_free()
    address.check_free()


def test_an_address_of_another_machine() -> None:
    with pytest.raises(ListenError, match=r"this machine has no address 192\.0\.2\.1"):
        ListenAddress("192.0.2.1", 9100).check_free()


def test_a_port_of_root() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= 1:
        pytest.skip("every user may listen on every port here")
    program = (
        "import os; from plugin.http.listen_address import ListenAddress; os.geteuid() or os.setuid(65534);"
        " ListenAddress('127.0.0.1', 1).check_free()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "ports below 1024 need root" in ended.stderr


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `serve` that cannot start."""
    return subprocess.run(
        [sys.executable, "-m", "plugin", "serve", *arguments, "--bundle", str(TINY_BUNDLE)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("option", "words"), [
    ("192.0.2.1:9100", "this machine has no address"),
    ("no-such-host.invalid:9100", "cannot be resolved"),
    ("127.0.0.1:99999", "expected HOST:PORT"),
])  # fmt: skip
def test_serve_says_it_in_one_sentence_and_tries_once(option: str, words: str) -> None:
    ended = serve("--listen", option)
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert ended.stderr.count("Error") == 1
    assert "Retrying" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_used_port_is_said_without_waiting() -> None:
    """Gunicorn alone would try five times, a second apart."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = serve("--listen", str(port))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"Error: 127.0.0.1:{port} is in use: another process listens there. Stop it, or choose another port\n"
    )


@pytest.mark.parametrize("option", ["{port}", "localhost:{port}", "[::1]:{port}", "unix:{folder}/x.sock"])
def test_serve_answers_where_it_was_told(option: str, tmp_path: Path) -> None:
    port = free_port()
    place = option.format(port=port, folder=tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-m", "plugin", "serve", "--listen", place, "--workers", "1",
         "--bundle", str(TINY_BUNDLE), "--upstream", f"http://127.0.0.1:{free_port()}"],
        cwd=ROOT, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert _status(place, port) == 200
    finally:
        child.terminate()
        child.communicate(timeout=60)


def _status(place: str, port: int) -> int:
    """Ask until it answers, for a minute."""
    for _ in range(600):
        connection = http.client.HTTPConnection("::1" if "::1" in place else "127.0.0.1", port, timeout=10)
        try:
            if place.startswith("unix:"):
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.connect(place.removeprefix("unix:"))
            connection.request("GET", "/_plugins/_rerank/health/live", headers={"Host": "localhost"})
            return connection.getresponse().status
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    return 0
