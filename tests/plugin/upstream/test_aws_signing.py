"""Signed requests: an upstream recomputes each signature with the library, from what arrived."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import parse_qsl

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.proxy import Proxy
from plugin.upstream import aws_signing
from plugin.upstream.client import Upstream
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from tests.support.paths import TINY_BUNDLE

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"


class _Verifying(http.server.BaseHTTPRequestHandler):
    """Answers 200 to a valid signature, 403 to another, 401 to none; says who signed."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = self.headers.get("Authorization", "")
        status = 401
        if given.startswith("AWS4-HMAC-SHA256"):
            status = 200 if given.rpartition("Signature=")[2] == self._expected(body, given) else 403
        elif given:
            status = 202
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _expected(self, body: bytes, given: str) -> str:
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        path, _, query = self.path.partition("?")
        signed = AWSRequest(
            method=self.command,
            url=f"http://{self.headers['Host']}{path}",
            params=parse_qsl(query, keep_blank_values=True),
            data=body,
            headers={name: self.headers[name] for name in names},
        )
        signed.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = SigV4Auth(Credentials(KEY, SECRET), "es", REGION)
        return auth.signature(auth.string_to_sign(signed, auth.canonical_request(signed)), signed)  # type: ignore[no-any-return]

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815  # the library's names


@contextmanager
def verifying() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Verifying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with verifying() as url, closing(Connecting(url, aws_region=REGION).upstream()) as upstream:
        yield Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))


@pytest.mark.parametrize(("method", "target", "body"), [
    ("GET", "/", None),
    ("GET", "/_cat/indices/books?h=index,docs.count&format=json&v", None),
    ("GET", "/%3Clogs-%7Bnow%2Fd%7D%3E/_mapping?pretty", None),
    ("PUT", "/books/_settings?a=1&a=2&b=x%20y", b'{"index":{"number_of_replicas":0}}'),
    ("POST", "/books/_refresh", None),
    ("DELETE", "/books", None),
])  # fmt: skip
def test_every_request_carries_a_valid_signature(
    proxy: Client, method: str, target: str, body: bytes | None
) -> None:
    answer = proxy.open(target, method=method, data=body, buffered=True)
    assert answer.status_code == 200


def test_a_callers_own_credentials_are_sent_as_they_are(proxy: Client) -> None:
    assert proxy.get("/", headers={"Authorization": "Basic eDp5"}, buffered=True).status_code == 202


def test_without_a_signature_the_upstream_refuses() -> None:
    """So that the tests above can fail."""
    with verifying() as url, closing(Upstream(url)) as upstream:
        assert upstream.exchange("GET", "/", ()).status == 401


def test_no_credentials_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(aws_signing.AwsError, match="AWS_ACCESS_KEY_ID"):
        aws_signing.make_sign(REGION, "es")


def test_a_body_too_long_to_be_signed_is_refused_with_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_signing, "MAX_SIGNED_BYTES", 10)
    with pytest.raises(UpstreamError, match="at most 10 bytes") as raised:
        aws_signing.read_whole([b"123456", b"789012"])
    assert raised.value.status == 413
