"""What a command cannot use is said in our words, and without a traceback."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.http.tls_relay import Certificates, make_certificates, tls_relay
from tests.support.paths import ROOT, TINY_BUNDLE

WITHOUT_TEMPORARY_FILES = """
mount --make-rprivate / && mount -o remount,ro,bind / &&
for each in /tmp /var/tmp /usr/tmp "$PWD"; do
  if [ -d "$each" ]; then mount --bind "$each" "$each" && mount -o remount,ro,bind "$each"; fi
done && cd . && exec "$@"
"""
"""Every folder that may hold temporary files is read-only."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def refused(*arguments: str, prefix: Sequence[str] = ()) -> str:
    """Run a command that cannot work, and return its message."""
    ended = subprocess.run(
        [*prefix, sys.executable, "-m", "plugin", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode in (1, 2), ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("Error:") == 1, ended.stderr
    return " ".join(ended.stderr.split())


def serve(*arguments: str, prefix: Sequence[str] = ()) -> str:
    return refused("serve", "--bundle", str(TINY_BUNDLE), *arguments, prefix=prefix)


@pytest.mark.parametrize("name", ["words", "key", "empty"])
def test_an_authority_that_is_none(tmp_path: Path, certificates: Certificates, name: str) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes({"words": b"hello", "key": certificates.key.read_bytes(), "empty": b""}[name])
    for message in (
        serve("--ca", str(file), "--upstream", "https://localhost:1"),
        refused("settings", "books", "--ca", str(file), "--upstream", "https://localhost:1"),
    ):
        assert f"--ca: expected the certificate of an authority in PEM in {file}, found none" in message


def test_wrong_options_of_serve_are_reported_before_the_proxy_is_imported() -> None:
    """Its import takes half a second."""
    imports = "import sys, plugin.commands.serve; sys.exit('plugin.proxy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", imports], cwd=ROOT, timeout=60, check=False).returncode == 0


def test_an_authority_that_is_a_servers_certificate(tmp_path: Path, certificates: Certificates) -> None:
    file = tmp_path / "server.pem"
    with tls_relay("http://127.0.0.1:1", certificates) as url:
        served = subprocess.run(
            ["openssl", "s_client", "-connect", url.removeprefix("https://")],
            input="", capture_output=True, text=True, check=False, timeout=60,
        ).stdout  # fmt: skip
        head, tail = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        file.write_text(head + served.partition(head)[2].partition(tail)[0] + tail + "\n")
        message = refused("settings", "books", "--ca", str(file), "--upstream", url)
    if sys.version_info < (3, 13):  # from there on, a server's own certificate may be trusted like this
        assert "Give --ca FILE with the certificate's authority (PEM)" in message


def test_a_certificate_that_has_expired(certificates: Certificates) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with tls_relay("http://127.0.0.1:1", certificates, ends=yesterday) as url:
        message = refused("settings", "books", "--ca", str(certificates.ca), "--upstream", url)
    assert "The server's certificate or its authority's has expired: renew it" in message


def test_an_address_without_a_port_or_a_port_alone_that_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"127.0.0.1:{port} is in use" in serve("--listen", str(port))
    assert "expected HOST:PORT" in serve("--listen", "somewhere:over")


def test_no_folder_for_temporary_files() -> None:
    contained = ["unshare", "--user", "--map-root-user", "--mount"]
    prefix = [*contained, "sh", "-c", WITHOUT_TEMPORARY_FILES, "contained"]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False, cwd=ROOT)
    if tried.returncode:
        pytest.skip(f"this system lets nobody make a mount namespace: {tried.stderr}")
    message = serve(prefix=prefix)
    assert "expected a folder for temporary files that this user can write to, found none" in message
    assert "mount a tmpfs at /tmp" in message
