"""Whose settings hold for a write: the mapping's, above a server's defaults, as soon as they have changed."""

import itertools
import json
import time
from contextlib import closing
from functools import partial

import pytest
from cachetools import TTLCache
from opensearchpy import OpenSearch
from werkzeug.test import Client

from opensearch.writes.target import read_existing_target
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import bulk, send, state, written
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live

BUNDLE = Bundle.open(TINY_BUNDLE)
LINES = ({"index": {"_id": "1"}}, {"text": "wait a bit"}, {"index": {"_id": "2"}}, {"text": "read a file"})


def test_a_change_holds_for_the_next_write_through_the_same_worker(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    client.indices.create(index=index_name)
    with closing(Upstream(opensearch_url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(BUNDLE)))

        def put(text: str) -> str:
            answer = proxy.put(f"/{index_name}/_doc/1", json={"text": text}, buffered=True)
            return answer.headers.get("Rerank-Written", "")

        assert put("wait a bit") == ""
        body = index_body(BUNDLE)["mappings"]
        assert proxy.put(f"/{index_name}/_mapping", json=body, buffered=True).status_code == 200
        assert put("wait a bit") == "documents=1; encoded=1; repaired=0; left=0"
    assert state(client, index_name).current == {"1"}


def test_an_answer_that_ends_while_it_is_looked_up_is_asked_for_anew(
    client: OpenSearch, opensearch_url: str, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look at the clock finds it 0.6 s later, so an answer of one second lives for one look alone."""
    client.indices.create(index=index_name, body=index_body(BUNDLE))
    clock = partial(next, itertools.count(step=0.6))
    monkeypatch.setattr("plugin.writes.targets.TTLCache", partial(TTLCache, timer=clock))
    with closing(Upstream(opensearch_url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(BUNDLE)))
        target = f"/{index_name}/_update/1"
        body = {"doc": {"text": "wait a bit"}, "doc_as_upsert": True}
        found = [proxy.post(target, json=body, buffered=True).status_code for _ in range(9)]
    assert found == [201, *[200] * 8]


def test_where_reranking_is_off_new_writes_get_no_vector_and_stale_ones_go(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(BUNDLE))
    bulk(proxy_url, f"/{index_name}/_bulk", *LINES)
    client.indices.put_mapping(
        index=index_name, body={"_meta": index_body(BUNDLE, enabled=False)["mappings"]["_meta"]}
    )
    time.sleep(1.5)  # what a worker knows of a target is a second old at most
    for method, target, body in (
        ("POST", f"/{index_name}/_update/1", {"doc": {"text": "another text"}}),
        ("POST", f"/{index_name}/_update/2", {"doc": {"text": "read a file"}}),
        ("PUT", f"/{index_name}/_doc/3", {"text": "new here"}),
        ("POST", f"/{index_name}/_update/4", {"script": "ctx._source.text += 'x'", "upsert": {"text": "a"}}),
        ("POST", f"/{index_name}/_update/4", {"script": "ctx._source.text += 'x'", "upsert": {"text": "a"}}),
    ):
        answer = send(proxy_url, method, target, body)
        assert answer.status in (200, 201)
        assert written(answer).startswith("documents=1; encoded=0; repaired=0"), (target, answer.body)
    found = state(client, index_name)
    assert (found.current, found.stale, found.missing) == ({"2"}, set(), {"1", "3", "4"})


def test_where_reranking_is_off_a_text_that_was_encoded_before_gets_no_vector_either(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    """The worker still has the vector of that text; a document whose stored vector is current keeps it."""
    client.indices.create(index=index_name, body=index_body(BUNDLE))
    with closing(Upstream(opensearch_url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(BUNDLE)))

        def sent(target: str, body: object) -> str:
            answer = proxy.post(f"/{index_name}/{target}", json=body, buffered=True)
            return answer.headers.get("Rerank-Written", "")

        same = {"text": "wait a bit"}
        assert sent("_doc/1?refresh=true", same) == "documents=1; encoded=1; repaired=0; left=0"
        off = {"_meta": index_body(BUNDLE, enabled=False)["mappings"]["_meta"]}
        assert proxy.put(f"/{index_name}/_mapping", json=off, buffered=True).status_code == 200
        upsert = {"script": "ctx._source.text += 'x'", "upsert": same}
        for target, body in (
            ("_doc/1", same),
            ("_doc/2", same),
            ("_update/3", upsert),
            ("_update/3", upsert),
        ):
            assert sent(target, body) == "documents=1; encoded=0; repaired=0; left=0"
    found = state(client, index_name)
    assert (found.current, found.stale, found.missing) == ({"1"}, set(), {"2", "3"})


def test_a_servers_defaults_count_as_for_searches(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(BUNDLE))
    with closing(Upstream(opensearch_url)) as upstream:
        settings = SettingsCache(upstream, None, {"enabled": False})
        proxy = Client(Proxy(upstream, Model.load(BUNDLE), settings))
        answer = proxy.put(f"/{index_name}/_doc/1", json={"text": "wait"}, buffered=True)
        assert answer.headers["Rerank-Written"] == "documents=1; encoded=0; repaired=0; left=0"
    assert state(client, index_name).missing == {"1"}


def test_defaults_that_do_not_go_with_a_mapping_leave_its_field_guarded() -> None:
    rerank = {"model": "m", "source_fields": ["text"], "fusion": {"weight": 5}}
    body = json.dumps({"i": {"mappings": {"_meta": {"rerank": rerank}}}}).encode()
    target = read_existing_target(body, "i", {"fusion": {"method": "weighted"}})
    assert target is not None
    assert target.settings.field == "rerank.vector"
