"""`serve` says in one block what it serves."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port, running_proxy
from plugin.server import startup_report
from plugin.server.startup_report import StartupReport, make_urls, round_down
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from tests.support.http.guarded_relay import guarded
from tests.support.http.raw_http import ask
from tests.support.http.tls_relay import make_certificates
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.sync_run import make_index
from tests.support.waiting import until

BUNDLE = Bundle.open(TINY_BUNDLE)


def block(url: str) -> str:
    report = StartupReport(Connecting(url), BUNDLE, {}, ["http://127.0.0.1:9100"])
    return "\n".join(f"{name}: {text}" for name, text in report.describe())


@pytest.fixture
def _names_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name every index: this OpenSearch has those of other tests too."""
    monkeypatch.setattr(startup_report, "MAX_INDICES", 10_000)


@pytest.fixture
def indices(client: OpenSearch, index_name: str) -> Iterator[list[str]]:
    """Make an index that is covered by half, and one of each kind that is not reranked."""
    names = [f"{index_name}-{kind}" for kind in ("half", "off", "foreign", "wrong")]
    make_index(client, names[0])
    make_index(client, names[1], enabled=False)
    make_index(client, names[2], model="another")
    make_index(client, names[3], window_size=0)
    vector = {"rerank": {"vector": "AAAA"}}
    for number in range(3):
        client.index(index=names[0], id=str(number), body={"text": "x", **(vector if number else {})})
    client.indices.refresh(index=names[0])
    yield names
    client.indices.delete(index=f"{index_name}-*")


@pytest.mark.parametrize(("part", "whole", "percent"), [
    (3, 3, 100.0), (10_000, 10_000, 100.0), (0, 0, 100.0), (2, 3, 66.6), (9_999, 10_000, 99.9), (0, 3, 0.0),
])  # fmt: skip
def test_a_hundred_per_cent_means_all(part: int, whole: int, percent: float) -> None:
    assert round_down(part, whole) == percent


@pytest.mark.live
@pytest.mark.usefixtures("_names_all")
def test_every_index_with_its_coverage_or_the_reason_why_not(
    opensearch_url: str, indices: list[str], client: OpenSearch
) -> None:
    told = block(opensearch_url)
    version = client.info()["version"]["number"]
    assert "page: http://127.0.0.1:9100/_plugins/_rerank/" in told
    assert f"model: tiny (digest {BUNDLE.manifest.digest[:12]})" in told
    assert f"OpenSearch: {opensearch_url}: version {version}, cluster " in told
    half, off, foreign, wrong = indices
    assert f"{half}: 2 of 3 documents have vectors (66.6 %)" in told
    assert f"{off}: not reranked, disabled: twinrank enable {off}" in told
    assert f"{foreign}: not reranked, its vectors are of another" in told
    assert f"{wrong}: not reranked, its settings are wrong: _meta.rerank.window_size" in told


@pytest.mark.live
def test_many_indices_are_counted_and_not_named(
    opensearch_url: str, indices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup_report, "MAX_INDICES", 1)
    assert re.search(r"\n: and \d+ more: twinrank status INDEX$", block(opensearch_url))


@pytest.mark.live
def test_an_account_that_is_missing(opensearch_url: str, tmp_path: Path) -> None:
    with guarded(opensearch_url, make_certificates(tmp_path)) as guard:
        told = block(guard.url)
    assert "OpenSearch: its answer is 401, so settings are read as each search's caller" in told
    assert "--user NAME" in told


@pytest.mark.live
def test_the_block_is_in_the_log_once(toy_index: ToyIndex, tmp_path: Path) -> None:
    arguments = ["--workers", "2"]
    log = tmp_path / "proxy.log"
    with running_proxy(toy_index.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        until(lambda: "\n  indices " in log.read_text(), "told")
        [url] = re.findall(r"\n  page +(\S+)\n", log.read_text())
        assert url.startswith(proxy.url)
        assert ask(proxy.url, "GET", url.removeprefix(proxy.url)).status == 200


def test_an_opensearch_that_is_not_there() -> None:
    assert "OpenSearch: expected OpenSearch at http://127.0.0.1:1, found: " in block("http://127.0.0.1:1")


@pytest.mark.parametrize(("address", "url"), [
    (("127.0.0.1", 9100), "https://127.0.0.1:9100"),
    (("0.0.0.0", 9100), "https://127.0.0.1:9100"),
    (("::", 9100, 0, 0), "https://[::1]:9100"),
    ("/run/twinrank.sock", "unix:/run/twinrank.sock:"),
])  # fmt: skip
def test_an_address_as_a_url(address: object, url: str) -> None:
    assert make_urls([address], is_tls=True) == [url]


def test_the_port_is_that_of_the_socket() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        assert make_urls([server.getsockname()], is_tls=False)[0].endswith(f":{server.getsockname()[1]}")
