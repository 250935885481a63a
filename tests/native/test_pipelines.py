"""The native pipelines end to end on OpenSearch 2.19.1: order, failures, texts, documents, restart."""

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opensearchpy.exceptions import TransportError

from indexer.document import Document
from indexer.enricher import Enricher
from opensearch.fields.stored_vectors import decode, find_value
from opensearch.settings.table import RerankSettings
from reranker.stored_vector import unpack
from tests.native.conftest import Native
from tests.support.api_client import HOSTILE_TEXTS
from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import WINDOW, known_words

pytestmark = pytest.mark.live

PLACEHOLDER = {"window_size": 1, "query": {"rescore_query": {"match_none": {}}}}


def rescored(native: Native, text: str = "", index: str = "", **more: Any) -> RawAnswer:  # noqa: ANN401
    """Search by form (e): the pipeline puts the clause in the placeholder's place."""
    body = {"query": native.toy.query, "size": native.toy.num_documents, "rescore": PLACEHOLDER}
    body["ext"] = {"ml_inference": {"query_text": text or native.toy.query_text}}
    pipeline = f"?search_pipeline=twinrank-{native.toy.name}-rescore"
    return search(native.url, index or native.toy.name, body | more, pipeline)


def reranked(native: Native, text: str = "", index: str = "", **more: Any) -> RawAnswer:  # noqa: ANN401
    """Search by form (b): the page goes through our endpoint, stored vectors as documents."""
    body = {"query": native.toy.query, "size": WINDOW, "docvalue_fields": ["rerank.vector"], "_source": False}
    body["ext"] = {"rerank": {"query_context": {"query_text": text or native.toy.query_text}}}
    pipeline = f"?search_pipeline=twinrank-{native.toy.name}-rerank"
    return search(native.url, index or native.toy.name, body | more, pipeline)


def proxied(native: Native, index: str = "", **more: Any) -> RawAnswer:  # noqa: ANN401
    body = {"query": native.toy.query, "size": native.toy.num_documents}
    answer = search(native.proxy_url, index or native.toy.name, body | more)
    assert answer.rerank_status.startswith("applied"), answer.rerank_status
    return answer


def first_stage(native: Native, size: int) -> list[str]:
    return [hit["_id"] for hit in native.toy.first_stage(size)]


def installed(native: Native, kind: str) -> list[str]:
    body = {"size": 100, "query": {"match_all": {}}, "_source": ["name"]}
    found = native.client.transport.perform_request("POST", f"/_plugins/_ml/{kind}/_search", body=body)
    return sorted(hit["_source"]["name"] for hit in found["hits"]["hits"])


@pytest.fixture
def mended(native: Native) -> Iterator[Native]:
    """Yield it, and mend the wire afterwards."""
    yield native
    native.relay.mend()


def test_rescore_has_the_proxys_order(native: Native) -> None:
    found = ids(rescored(native))
    assert found == ids(proxied(native))
    assert found[:WINDOW] != first_stage(native, WINDOW)


@pytest.mark.parametrize(("start", "size"), [(5, 5), (95, 20), (0, 1)])
def test_rescored_pages_are_the_proxys(native: Native, start: int, size: int) -> None:
    page: dict[str, Any] = {"from": start, "size": size}
    assert ids(rescored(native, **page)) == ids(proxied(native, **page))


def test_rerank_has_the_proxys_order_of_the_crossing_alone(native: Native) -> None:
    assert ids(reranked(native)) == ids(proxied(native, native.crossing_alone, size=WINDOW))


def test_rerank_takes_texts_too(native: Native) -> None:
    """A pipeline of the user's own with a text field; the vectors are made on the way."""
    body = native.client.transport.perform_request(
        "GET", f"/_search/pipeline/twinrank-{native.toy.name}-rerank"
    )
    pipeline = body[f"twinrank-{native.toy.name}-rerank"]
    pipeline["response_processors"][0]["rerank"]["context"]["document_fields"] = ["text"]
    more = {"size": 10, "search_pipeline": pipeline, "query": native.toy.query}
    more["ext"] = {"rerank": {"query_context": {"query_text": native.toy.query_text}}}
    found = ids(search(native.url, native.toy.name, more))
    ten = first_stage(native, 10)
    assert sorted(found) == sorted(ten)
    order = [each for each in ids(proxied(native, native.crossing_alone)) if each in ten]
    assert found == order


def test_rerank_reorders_its_page_only(native: Native) -> None:
    page: dict[str, Any] = {"from": 5, "size": 5}
    found = ids(reranked(native, **page))
    assert sorted(found) == sorted(first_stage(native, 10)[5:])


@pytest.mark.parametrize("form", [rescored, reranked])
@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS if text], ids=lambda text: ascii(text)[:20])
def test_no_query_text_fails_or_loses_a_hit(native: Native, form: Any, text: str) -> None:  # noqa: ANN401
    answer = form(native, text)
    assert answer.status == 200, answer.body
    assert sorted(ids(answer)) == sorted(first_stage(native, len(ids(answer))))
    assert len(ids(answer)) >= WINDOW


@pytest.mark.parametrize("text", ["null", "12", '"', "\\", "a\nb", "é 中文 🙂", "[1]"])
def test_ordinary_odd_texts_are_scored(native: Native, text: str) -> None:
    """Not merely survived: the scores are no first-stage scores."""
    plain = [hit["_score"] for hit in native.toy.first_stage(10)]
    for answer in (rescored(native, text, size=10), reranked(native, text, size=10)):
        assert [hit["_score"] for hit in json.loads(answer.body)["hits"]["hits"]] != plain


@pytest.mark.parametrize("form", [rescored, reranked])
def test_a_stopped_sidecar_gives_the_first_stage(mended: Native, form: Any) -> None:  # noqa: ANN401
    mended.relay.cut()
    answer = form(mended)
    assert answer.status == 200, answer.body
    assert ids(answer) == first_stage(mended, len(ids(answer)))


@pytest.mark.parametrize("form", [rescored, reranked])
def test_a_hanging_sidecar_gives_the_first_stage(mended: Native, form: Any) -> None:  # noqa: ANN401
    """It would hang for good without the connector's read timeout; the client gives up after 60 s."""
    mended.relay.hang()
    answer = form(mended)
    assert answer.status == 200, answer.body
    assert ids(answer) == first_stage(mended, len(ids(answer)))


def test_a_mended_sidecar_is_used_again(mended: Native) -> None:
    mended.relay.cut()
    rescored(mended)
    mended.relay.mend()
    assert ids(rescored(mended)) == ids(proxied(mended))


def test_documents_without_vectors_stay(native: Native) -> None:
    name = "some-without"
    native.client.reindex(body={"source": {"index": native.toy.name}, "dest": {"index": name}}, refresh=True)
    native.client.indices.delete(index=name)
    body = native.client.indices.get_mapping(index=native.toy.name)[native.toy.name]
    one = {"number_of_shards": 1, "number_of_replicas": 0}
    native.client.indices.create(index=name, body={**body, "settings": one})
    source = {"index": native.toy.name}
    script = "if (ctx._source.n % 3 == 0) { ctx._source.remove('rerank') }"
    dest = {"index": name}
    native.client.reindex(body={"source": source, "dest": dest, "script": {"source": script}}, refresh=True)
    without = {str(n) for n in range(0, native.toy.num_documents, 3)}
    by_rescore = ids(rescored(native, index=name))
    assert sorted(by_rescore) == sorted(first_stage(native, native.toy.num_documents))
    by_rerank = ids(reranked(native, index=name))
    assert set(by_rerank) == set(first_stage(native, WINDOW))
    count = len(without & set(by_rerank))
    assert count > 10
    assert set(by_rerank[-count:]) <= without
    native.client.indices.delete(index=name)


def test_rescore_is_safe_as_the_default_pipeline(native: Native) -> None:
    name, setting = native.toy.name, "index.search.default_pipeline"
    native.client.indices.put_settings(index=name, body={setting: f"twinrank-{name}-rescore"})
    plain = search(native.url, name, {"query": native.toy.query, "size": 50})
    assert (plain.status, ids(plain)) == (200, first_stage(native, 50))
    placeholder = search(native.url, name, {"query": native.toy.query, "size": 50, "rescore": PLACEHOLDER})
    assert (placeholder.status, ids(placeholder)) == (200, first_stage(native, 50))
    own = {"window_size": 10, "query": {"rescore_query": {"match_all": {}}}}
    kept = search(native.url, name, {"query": native.toy.query, "size": 50, "rescore": own})
    assert kept.status == 200
    native.client.indices.put_settings(index=name, body={setting: None})


TEXTS: list[Any] = [
    "a plain text", 'with "quotes" and \\ and\nlines\tand tabs', "é 中文 🙂", "[1]", "12",
    ["two", "texts"], "",
]  # fmt: skip


def check_same_vector(source: Any, expected: Any) -> None:  # noqa: ANN401
    """Same hash and tag, and values within a rounding: what is encoded together differs in the last bit."""
    found, wanted = (decode(find_value(each, "rerank.vector")) for each in (source, expected))
    if wanted is None or found is None:
        assert found is wanted, source
        return
    one, other = unpack(found), unpack(wanted)
    assert (one.text_hash, one.model_tag) == (other.text_hash, other.model_tag), source
    np.testing.assert_allclose(one.values, other.values, atol=2 * np.abs(other.values).max() / 127)


def test_ingest_stores_what_indexing_stores(native: Native) -> None:
    name, pipeline = native.toy.name, f"twinrank-{native.toy.name}-embed"
    words = " ".join(known_words(native.toy.bundle.path) * 12)
    old = {"rerank": {"vector": "AAAA"}}
    documents = [{"text": text} for text in [*TEXTS, words]] + [{"text": "x", **old}, {"n": 1, **old}]
    settings = RerankSettings(native.toy.bundle.name, ("text",))
    enricher = Enricher(
        native.toy.bundle.load_document_encoder(threads=1), native.toy.bundle.model_tag, settings
    )
    wanted = enricher([Document(json.dumps(each)) for each in documents], {})
    for number, (document, expected) in enumerate(zip(documents, wanted, strict=True)):
        key = f"ingested-{number}"
        native.client.index(index=name, id=key, body=document, params={"pipeline": pipeline})
        source = native.client.get(index=name, id=key)["_source"]
        native.client.delete(index=name, id=key, refresh=True)
        check_same_vector(source, json.loads(expected.source))
        assert "twinrank_text" not in source
    assert sum(b"vector" in each.source for each in wanted) == len(documents) - 2, "but those without a text"


@pytest.mark.parametrize("fault", ["cut", "hang"])
def test_ingest_without_a_sidecar_stores_no_vector(mended: Native, fault: str) -> None:
    """A hanging one would hold the write for good without the connector's read timeout."""
    getattr(mended.relay, fault)()
    pipeline = f"twinrank-{mended.toy.name}-embed"
    body = {"text": "x", "rerank": {"vector": "AAAA"}}
    mended.client.index(index=mended.toy.name, id="late", body=body, params={"pipeline": pipeline})
    source = mended.client.get(index=mended.toy.name, id="late")["_source"]
    mended.client.delete(index=mended.toy.name, id="late", refresh=True)
    assert find_value(source, "rerank.vector") is None
    assert source["text"] == "x"


def test_a_second_installation_replaces_the_first(native: Native) -> None:
    again = native.install(native.toy.name)
    assert again.exit_code == 0, again.output
    names = sorted(f"twinrank-{native.toy.name}-{each}" for each in ("rerank", "embeddings", "rescore"))
    assert installed(native, "connectors") == names
    assert installed(native, "models") == names
    assert again.output.count("removed ") == 6
    assert ids(rescored(native)) == ids(proxied(native))


def test_a_dry_run_changes_nothing_and_hides_the_token(native: Native) -> None:
    before = native.client.transport.perform_request("GET", "/_search/pipeline")
    shown = native.install(native.toy.name, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert native.token_file.read_text() not in shown.output
    assert "/_plugins/_ml/connectors/_create" in shown.output
    assert native.client.transport.perform_request("GET", "/_search/pipeline") == before


def test_a_wrong_token_is_explained_and_leaves_nothing(native: Native) -> None:
    before = installed(native, "connectors"), installed(native, "models")
    wrong = native.token_file.parent / "wrong"
    wrong.write_text("not-the-token-of-the-suite")
    refused = native.install(native.toy.name, "--token-file", str(wrong))
    assert refused.exit_code == 1
    assert "expected the proxy's endpoints to answer OpenSearch" in refused.output
    assert (installed(native, "connectors"), installed(native, "models")) == before
    assert ids(rescored(native)) == ids(proxied(native))


def test_an_index_that_is_not_enabled_is_refused(native: Native) -> None:
    native.client.indices.create(index="plain")
    assert "expected settings in the mapping" in native.install("plain").output
    native.client.indices.delete(index="plain")


def test_after_a_restart_of_the_node_it_works_again(native: Native) -> None:
    """In its first seconds a node may answer a pipeline's search with an error of ml-commons: seen."""
    port = int(native.url.rpartition(":")[2])
    native.server.stop()
    native.server.http_port = port
    assert native.server.start() == native.url
    wanted, deadline_s = ids(proxied(native)), time.monotonic() + 120
    answer = rescored(native)
    while (answer.status, ids(answer) if answer.status == 200 else []) != (200, wanted):
        assert time.monotonic() < deadline_s, answer.body
        time.sleep(0.5)
        answer = rescored(native)
    assert ids(reranked(native)) == ids(proxied(native, native.crossing_alone, size=WINDOW))


def test_uninstall_leaves_nothing_but_the_documents(native: Native) -> None:
    removed = native.twinrank("native", "uninstall", native.toy.name)
    assert removed.exit_code == 0, removed.output
    assert removed.output.count("removed ") == 9
    assert installed(native, "connectors") == installed(native, "models") == []
    with pytest.raises(TransportError):
        native.client.transport.perform_request(
            "GET", f"/_search/pipeline/twinrank-{native.toy.name}-rescore"
        )
    assert "was there" in native.twinrank("native", "uninstall", native.toy.name).output
    assert native.install(native.toy.name).exit_code == 0
    assert ids(rescored(native)) == ids(proxied(native))
