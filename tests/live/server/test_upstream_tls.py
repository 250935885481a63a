"""OpenSearch behind TLS: verified by default, by a CA of one's own, with a client's certificate."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from plugin.commands.main import main
from plugin.errors import UpstreamError
from plugin.harness.proxy_process import running_proxy
from plugin.upstream.connecting import Connecting, warn_unverified
from tests.support.http.raw_http import ask, search
from tests.support.http.tls_relay import Certificates, make_certificates, tls_relay
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def https_url(opensearch_url: str, certificates: Certificates) -> Iterator[str]:
    with tls_relay(opensearch_url, certificates) as url:
        yield url


def status(connecting: Connecting) -> int:
    with closing(connecting.upstream()) as upstream:
        return upstream.exchange("GET", "/", ()).status


def test_a_certificate_is_verified_by_the_authority_that_is_named(
    https_url: str, certificates: Certificates
) -> None:
    assert status(Connecting(https_url, ca=certificates.ca)) == 200


def test_without_it_nothing_is_sent(https_url: str) -> None:
    with pytest.raises(UpstreamError, match=r"expected TLS .* --ca FILE"):
        status(Connecting(https_url))


def test_a_certificate_of_another_name_is_refused(opensearch_url: str, certificates: Certificates) -> None:
    with (
        tls_relay(opensearch_url, certificates, name="elsewhere.example.org") as url,
        pytest.raises(UpstreamError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        status(Connecting(url, ca=certificates.ca))


def test_not_to_verify_has_to_be_asked_for_and_is_said_aloud(
    https_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    warn_unverified.cache_clear()  # it is said once in a process
    assert status(Connecting(https_url, verifies=False)) == 200
    assert "NOT verified" in caplog.text


def test_a_clients_certificate_is_shown_where_one_is_given(
    opensearch_url: str, certificates: Certificates
) -> None:
    with tls_relay(opensearch_url, certificates, asks_client=True) as url:
        with pytest.raises(UpstreamError):
            status(Connecting(url, ca=certificates.ca))
        assert (
            status(
                Connecting(
                    url, ca=certificates.ca, certificate=certificates.certificate, key=certificates.key
                )
            )
            == 200
        )


def test_the_proxy_as_a_process_speaks_tls_with_several_hosts(
    https_url: str, opensearch_url: str, certificates: Certificates, toy_index: ToyIndex, tmp_path: Path
) -> None:
    """Searches, and an endpoint by the client library, which verifies by the same authority."""
    with tls_relay(opensearch_url, certificates) as second:
        arguments = ["--upstream-ca", str(certificates.ca), "--workers", "1"]
        with running_proxy(
            f"{https_url},{second}", tmp_path, bundle=TINY_BUNDLE, arguments=arguments
        ) as proxy:
            for _ in range(4):
                answer = search(proxy.url, toy_index.name, {"query": toy_index.query})
                assert (answer.status, answer.rerank_status[:7]) == (200, "applied")
            report = ask(proxy.url, "GET", f"/_plugins/_rerank/settings/{toy_index.name}")
            assert (report.status, list(json.loads(report.body))) == (200, [toy_index.name])


@pytest.mark.parametrize("option", ["--upstream-ca", "--upstream-cert"])
def test_a_file_without_a_certificate_is_named(option: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    ended = CliRunner().invoke(main, ["serve", "--upstream", "https://localhost:1", option, str(empty)])
    assert ended.exit_code == 2
    assert "empty.pem" in ended.output.replace("\n", "").replace("│", "").replace(" ", "")


def test_plain_text_where_tls_is_expected_is_told(opensearch_url: str, certificates: Certificates) -> None:
    url = opensearch_url.replace("http://", "https://")
    with pytest.raises(UpstreamError, match="It speaks plain HTTP there: use http://"):
        status(Connecting(url, ca=certificates.ca))
