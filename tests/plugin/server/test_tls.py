"""`twinrank serve --certfile --keyfile`: TLS by gunicorn; and the command where little is allowed it."""

import os
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugin.harness.proxy_process import free_port
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import exchanged, statuses
from tests.support.paths import ROOT, TINY_BUNDLE

HEALTH = "/_plugins/_rerank/health"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "1", "-subj", "/CN=twinrank",
         "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


@contextmanager
def serving(
    url: str,
    *arguments: str,
    trusting: ssl.SSLContext | None = None,
    prefix: Sequence[str] = (),
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
) -> Iterator[None]:
    """Run `twinrank serve`, without an OpenSearch, until the block ends; `prefix` is what starts it."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "plugin",
        "serve",
        "--listen",
        url.rpartition("/")[2],
        *arguments,
    ]
    upstream = ["--upstream", f"http://127.0.0.1:{free_port()}", "--bundle", str(TINY_BUNDLE)]
    child = subprocess.Popen(
        [*command, *upstream], cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        for _ in range(600):
            if child.poll() is not None or _answers(url, trusting):
                break
            time.sleep(0.1)
        assert child.poll() is None, child.communicate()[0].decode()
        yield
    finally:
        child.terminate()
        child.communicate(timeout=60)


def _answers(url: str, trusting: ssl.SSLContext | None) -> bool:
    try:
        return ask(url, "GET", HEALTH, trusting=trusting).status == 503  # no OpenSearch is there
    except OSError:
        return False


def test_it_answers_over_tls_alone(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    url = f"https://127.0.0.1:{free_port()}"
    trusting = ssl.create_default_context(cafile=cert)
    with serving(url, "--certfile", str(cert), "--keyfile", str(key), trusting=trusting):
        assert ask(url, "GET", HEALTH, trusting=trusting).status == 503
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(url, "GET", HEALTH)
        with pytest.raises(ssl.SSLError):
            _connect(url, ssl.TLSVersion.TLSv1_1)
        assert statuses(exchanged(url, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) in ([], [400])


def _connect(url: str, newest: ssl.TLSVersion) -> None:
    host, _, port = url.rpartition("/")[2].partition(":")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        old.minimum_version = old.maximum_version = newest
    with socket.create_connection((host, int(port)), timeout=20) as wire, old.wrap_socket(wire):
        pass


@pytest.mark.parametrize(("arguments", "words"), [
    (["--certfile", "{cert}"], "together"),
    (["--certfile", "{cert}", "--keyfile", "/nowhere.pem"], "expected a certificate"),
    (["--certfile", "{cert}", "--keyfile", "{cert}"], "expected a certificate"),
])  # fmt: skip
def test_what_is_no_certificate_is_told(
    certificate: tuple[Path, Path], arguments: list[str], words: str
) -> None:
    filled = [each.format(cert=certificate[0]) for each in arguments]
    command = [sys.executable, "-m", "plugin", "serve", *filled, "--bundle", str(TINY_BUNDLE)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert words in ended.stderr


CONTAINED = """
mount --make-rprivate / && mount -o remount,ro,bind / && mount -t tmpfs tmpfs /tmp && cd /tmp &&
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"
"""
"""As the container has it: nothing can be written but /tmp, and no rights beyond those of a file's owner."""


def test_it_runs_where_nothing_can_be_written_but_tmp_and_without_any_capability() -> None:
    if ROOT.is_relative_to("/tmp"):  # noqa: S108  # no file is made there
        pytest.skip("the checkout lies under /tmp, which is another one in there")
    contained = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", CONTAINED, "contained"]
    tried = subprocess.run([*contained, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this system lets nobody make a mount namespace: {tried.stderr}")
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    url = f"http://127.0.0.1:{free_port()}"
    with serving(url, prefix=contained, cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}):
        assert ask(url, "GET", HEALTH).status == 503
        assert ask(url, "GET", "/articles/_search").status == 502
        assert b"twinrank_requests_total" in ask(url, "GET", "/_plugins/_rerank/metrics").body
