"""Settings that change while searches run: every worker of two proxies follows, nothing fails."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from plugin.http.messages import Request
from plugin.settings.cache import SettingsCache
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Upstream
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import CHUNKING, ToyIndex, index_body, vector_member
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
NEW_ANSWERS = 60
"""In a row, each on a connection of its own: then no worker of two gives the old answer any more."""


@pytest.fixture
def two_proxies(
    opensearch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Yield two proxies that share nothing, as on two hosts: each has a runtime folder of its own."""
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with running_proxy(opensearch_url, folders[0], bundle=TINY_BUNDLE) as first:
        monkeypatch.setenv("TMPDIR", str(folders[1]))
        with running_proxy(opensearch_url, folders[1], bundle=TINY_BUNDLE) as second:
            yield first.url, second.url


def put_settings(client: OpenSearch, name: str, toy_index: ToyIndex, **settings: object) -> None:
    meta = index_body(toy_index.bundle, **settings)["mappings"]["_meta"]
    client.indices.put_mapping(index=name, body={"_meta": meta})


def filled(client: OpenSearch, toy_index: ToyIndex, name: str, **settings: object) -> None:
    """Make an index with one document and its vector."""
    client.indices.create(index=name, body=index_body(toy_index.bundle, **settings))
    [vector] = toy_index.bundle.load_document_encoder(threads=1)([toy_index.query_text], CHUNKING)
    member = vector_member(toy_index.bundle, toy_index.query_text, vector)
    client.index(index=name, id="0", body={"text": toy_index.query_text, **member}, refresh=True)


def test_every_worker_of_two_proxies_follows_a_change(
    client: OpenSearch,
    toy_index: ToyIndex,
    two_proxies: tuple[str, str],
    index_name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled(client, toy_index, index_name)
    query = {"query": toy_index.query}

    def statuses() -> list[str]:
        return [search(url, index_name, query).rerank_status for url in two_proxies]

    until(lambda: all(status.startswith("applied") for status in statuses()), "reranked")
    for _ in range(NEW_ANSWERS):
        statuses()  # every worker has looked the settings up, so that a change must reach it
    put_settings(client, index_name, toy_index, enabled=False)
    changed_s = last_old_s = time.monotonic()
    in_a_row = 0
    while in_a_row < NEW_ANSWERS:
        is_new = all(status == "skipped; reason=disabled" for status in statuses())
        in_a_row = in_a_row + 1 if is_new else 0
        last_old_s = last_old_s if is_new else time.monotonic()
        assert time.monotonic() < changed_s + 60, "a worker did not follow"
    with capsys.disabled():
        print(f"\nthe last worker of two proxies followed after {last_old_s - changed_s:.2f} s")  # noqa: T201


def test_a_change_through_the_proxy_is_followed_by_its_worker_at_once(
    client: OpenSearch, toy_index: ToyIndex, opensearch_url: str, index_name: str
) -> None:
    """Without the note of the change, the entry would be used for a second more."""
    filled(client, toy_index, index_name)
    with closing(Upstream(opensearch_url)) as upstream:
        settings = SettingsCache(upstream, clock=lambda: 0.0)  # no entry ever gets old
        request = _search_request(index_name)
        before = settings.find_target(request, index_name, {}).settings
        put_settings(client, index_name, toy_index, window_size=7)
        assert settings.find_target(request, index_name, {}).settings == before
        settings.invalidate()
        after = settings.find_target(request, index_name, {}).settings
    assert getattr(after, "window_size", None) == 7


def test_a_pattern_is_asked_again_when_the_cluster_changes_and_no_search_pays(
    client: OpenSearch, toy_index: ToyIndex, opensearch_url: str, index_name: str, tmp_path: Path
) -> None:
    """The clock stands still, so that no entry is fetched again for its age."""
    filled(client, toy_index, index_name)
    with closing(Upstream(opensearch_url)) as upstream:
        poller = SettingsPoller(upstream, (), tmp_path, {})
        settings = SettingsCache(upstream, poller, clock=lambda: 0.0)
        poller.start()
        until(lambda: poller.view() is not None, "a view")
        request, pattern = _search_request(index_name), f"{index_name}*"
        assert getattr(settings.find_target(request, pattern, {}).settings, "window_size", None) == 100
        put_settings(client, index_name, toy_index, window_size=7)
        until(
            lambda: getattr(settings.find_target(request, pattern, {}).settings, "window_size", 0) == 7,
            "followed",
        )
        poller.stop()


def test_a_mapping_that_lost_its_settings_is_told_and_searched_as_before(
    client: OpenSearch, toy_index: ToyIndex, proxy_url: str, index_name: str
) -> None:
    filled(client, toy_index, index_name)
    body = json.dumps({"_meta": {"owner": "somebody"}}).encode()
    put = ask(proxy_url, "PUT", f"/{index_name}/_mapping", body, {"Content-Type": "application/json"})
    assert put.status == 200
    answers = []

    def is_told() -> bool:
        answers.append(search(proxy_url, index_name, {"query": toy_index.query}))
        return answers[-1].rerank_status == "skipped; reason=settings"

    until(is_told, "told")
    assert {answer.status for answer in answers} == {200}


def test_below_min_coverage_searches_are_passed_through(
    client: OpenSearch, toy_index: ToyIndex, proxy_url: str, index_name: str
) -> None:
    filled(client, toy_index, index_name, min_coverage=0.6)
    client.index(index=index_name, id="1", body={"text": toy_index.query_text}, refresh=True)
    query = {"query": toy_index.query}
    for _ in range(5):
        assert search(proxy_url, index_name, query).rerank_status == "skipped; reason=coverage"
        time.sleep(0.1)
    client.delete(index=index_name, id="1", refresh=True)
    until(lambda: search(proxy_url, index_name, query).rerank_status.startswith("applied"), "covered again")


def _search_request(index: str) -> Request:
    return Request("POST", f"/{index}/_search", (), BytesIO(), 0)
