"""`twinrank serve --certfile --keyfile`: TLS by gunicorn; and the command where little is allowed it."""

import os
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from plugin.harness.proxy_process import free_port
from tests.support.cores import CORES, core_arguments
from tests.support.http.lone_server import HEALTH, contained_program, serving
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import exchanged, statuses
from tests.support.paths import ROOT, TINY_BUNDLE


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


@pytest.mark.parametrize("core", CORES)
def test_it_answers_over_tls_alone(certificate: tuple[Path, Path], core: str) -> None:
    cert, key = certificate
    arguments = ["--certfile", str(cert), "--keyfile", str(key), *core_arguments(core)]
    url = f"https://127.0.0.1:{free_port()}"
    trusting = ssl.create_default_context(cafile=cert)
    with serving(url, *arguments, trusting=trusting):
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


def test_it_runs_where_nothing_can_be_written_but_tmp_and_without_any_capability() -> None:
    contained = contained_program()
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    url = f"http://127.0.0.1:{free_port()}"
    with serving(url, prefix=contained, cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)}):
        assert ask(url, "GET", HEALTH).status == 503
        assert ask(url, "GET", "/articles/_search").status == 502
        assert b"twinrank_requests_total" in ask(url, "GET", "/_plugins/_rerank/metrics").body
