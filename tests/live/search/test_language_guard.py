"""Searches that the model cannot read are OpenSearch's own; those that it can read are reranked as before."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.admin.health import Readiness
from plugin.apis.tokens import BearerTokens
from plugin.app import create_app
from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from reranker.bundle import BUNDLES, Bundle
from reranker.languages import ReadableScripts
from tests.support.api_client import NO_OPENSEARCH, bundle
from tests.support.http.raw_http import search
from tests.support.indices.toy_index import CHUNKING, ToyIndex, index_body, vector_member

FOREIGN = "пароль"
SKIPPED = "skipped; reason=language"
DOCUMENT_TAG = 0x39F33FC4
"""The tag of the vectors that were stored before bundles named their languages."""


@cache
def english() -> Model:
    """Return the tiny bundle's model as one that reads English."""
    return replace(Model.load(bundle()), scripts=ReadableScripts(["en"]), max_query_chars=1024)


def encoded_never(text: str) -> Floats:
    """Stand for the encoder where a query must not reach it."""
    raise AssertionError(text)


def through(upstream: Upstream, model: Model | None = None) -> Proxy:
    """Return a proxy that samples an index before it answers the first search of it."""
    return Proxy(upstream, model or english(), SettingsCache(upstream, waits_for_coverage=True))


@pytest.fixture
def proxied(opensearch_url: str) -> Iterator[Client]:
    """A proxy in this process whose bundle reads English."""
    with closing(Upstream(opensearch_url)) as upstream:
        yield Client(through(upstream))


def status(client: Client, path: str, body: dict[str, Any]) -> str:
    answer = client.post(path, json=body, buffered=True)
    assert answer.status_code == 200, answer.data
    return str(answer.headers["Rerank-Status"])


def with_text(toy: ToyIndex, text: str) -> dict[str, Any]:
    return {"query": {"match": {"text": f"{toy.query_text} {text}"}}}


@pytest.mark.live
def test_a_query_in_another_script_is_opensearchs_own_and_not_encoded(
    opensearch_url: str, toy_index: ToyIndex
) -> None:
    body = with_text(toy_index, FOREIGN)
    straight = search(opensearch_url, toy_index.name, body)
    with closing(Upstream(opensearch_url)) as upstream:
        model = replace(english(), query_vectors=CachedQueryEncoder(encoded_never))
        answer = Client(through(upstream, model)).post(f"/{toy_index.name}/_search", json=body, buffered=True)
    assert answer.headers["Rerank-Status"] == SKIPPED
    found, expected = json.loads(answer.data), json.loads(straight.body)
    for hit in expected["hits"]["hits"]:
        del hit["_source"]["rerank"]
    assert found["hits"] == expected["hits"]


@pytest.mark.live
@pytest.mark.parametrize("text", ["", "α-tocopherol", "10 µm", "naïve", "😀", "١٢٣"], ids=ascii)  # noqa: RUF001
def test_a_query_in_latin_script_is_reranked(proxied: Client, toy_index: ToyIndex, text: str) -> None:
    path = f"/{toy_index.name}/_search"
    assert status(proxied, path, with_text(toy_index, text)).startswith("applied")


@pytest.mark.live
def test_only_what_is_read_of_a_long_query_counts(proxied: Client, toy_index: ToyIndex) -> None:
    for length, reason in ((1000, SKIPPED), (1100, "applied")):
        found = status(
            proxied, f"/{toy_index.name}/_search", with_text(toy_index, "wait " * (length // 5) + FOREIGN)
        )
        assert found.startswith(reason), length


@pytest.mark.live
@pytest.mark.parametrize("query", [
    {"bool": {"must": [{"match": {"text": "wait"}}], "should": [{"match_phrase": {"text": FOREIGN}}]}},
    {"query_string": {"query": f"wait OR {FOREIGN}"}},
    {"simple_query_string": {"query": f"wait {FOREIGN}"}},
    {"multi_match": {"query": FOREIGN, "fields": ["text"]}},
    {"more_like_this": {"fields": ["text"], "like": FOREIGN, "min_term_freq": 1}},
], ids=lambda query: next(iter(query)))  # fmt: skip
def test_every_form_of_a_query_is_looked_at(
    proxied: Client, toy_index: ToyIndex, query: dict[str, Any]
) -> None:
    assert status(proxied, f"/{toy_index.name}/_search", {"query": query}) == SKIPPED


@pytest.mark.live
def test_the_text_that_a_request_gives_is_what_counts(proxied: Client, toy_index: ToyIndex) -> None:
    """`ext.rerank` is taken out of what is passed through: OpenSearch does not know it."""
    path = f"/{toy_index.name}/_search"
    for text, query, reason in (
        (FOREIGN, toy_index.query, SKIPPED),
        (toy_index.query_text, with_text(toy_index, FOREIGN)["query"], "applied"),
    ):
        ext = {"rerank": {"query_context": {"query_text": text}}}
        assert status(proxied, path, {"query": query, "ext": ext}).startswith(reason)


@pytest.mark.live
def test_items_templates_and_the_other_execution(proxied: Client, toy_index: ToyIndex) -> None:
    readable, foreign = {"query": toy_index.query}, with_text(toy_index, FOREIGN)
    path = f"/{toy_index.name}"
    lines = "".join(f"{{}}\n{json.dumps(body)}\n" for body in (readable, foreign))
    several = proxied.post(f"{path}/_msearch", data=lines, content_type="application/x-ndjson", buffered=True)
    assert several.headers["Rerank-Status"] == "applied=1; skipped=1; items=0:applied,1:language"
    template = {"source": {"query": {"match": {"text": "{{text}}"}}}, "params": {"text": FOREIGN}}
    assert status(proxied, f"{path}/_search/template", template) == SKIPPED
    cluster = {"ext": {"rerank": {"execution": "cluster"}}}
    assert status(proxied, f"{path}/_search", foreign | cluster) == SKIPPED
    assert status(proxied, f"{path}/_search", readable | cluster).endswith("execution=cluster")


@pytest.mark.live
def test_explain_and_the_page_say_it_too(proxied: Client, toy_index: ToyIndex) -> None:
    told = proxied.get(f"/_plugins/_rerank/explain/{toy_index.name}?text={FOREIGN}", buffered=True)
    assert json.loads(told.data)["rerank_status"] == SKIPPED
    lab = proxied.post(
        f"/_plugins/_rerank/lab/search/{toy_index.name}", json={"text": FOREIGN}, buffered=True
    )
    assert json.loads(lab.data)["status"] == SKIPPED


@pytest.mark.live
def test_an_admin_switches_the_guard_off_and_a_failure_is_not_what_it_is(
    client: OpenSearch, proxied: Client, toy_index: ToyIndex, index_name: str
) -> None:
    for number, (settings, reason) in enumerate(
        (({"languages": "any"}, "applied"), ({"on_failure": "error"}, SKIPPED))
    ):
        name = f"{index_name}-{number}"
        client.indices.create(index=name, body=index_body(toy_index.bundle, **settings))
        client.index(index=name, body=toy_index.first_stage(1)[0]["_source"], refresh=True)
        assert status(proxied, f"/{name}/_search", with_text(toy_index, FOREIGN)).startswith(reason)


@pytest.mark.live
def test_an_index_of_texts_that_the_model_cannot_read_is_opensearchs_own(
    client: OpenSearch, opensearch_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    """A readable query finds its hits by another field."""
    texts = ["красный чехол", "чёрный чехол", "зарядное устройство"]
    vectors = toy_index.bundle.load_document_encoder(threads=1)(texts, CHUNKING)
    for name, settings in ((index_name, {}), (f"{index_name}-any", {"languages": "any"})):
        client.indices.create(index=name, body=index_body(toy_index.bundle, **settings))
        for text, vector in zip(texts, vectors, strict=True):
            member = vector_member(toy_index.bundle, text, vector)
            client.index(index=name, body={"brand": "samsung", "text": text, **member}, refresh=True)
    with closing(Upstream(opensearch_url)) as upstream:
        proxied = Client(through(upstream))
        body = {"query": {"match": {"brand": "samsung"}}}
        assert status(proxied, f"/{index_name}/_search", body) == SKIPPED
        assert status(proxied, f"/{index_name}-any/_search", body).startswith("applied")
        assert status(proxied, f"/{toy_index.name}/_search", {"query": toy_index.query}).startswith("applied")


def api(path: str, body: dict[str, Any]) -> tuple[Any, str | None]:
    """Answer a request to an endpoint beside search: JSON, and its warning."""
    upstream = Upstream(NO_OPENSEARCH)
    app = create_app(
        upstream, english(), SettingsCache(upstream), BearerTokens(), Metrics(), Readiness(upstream)
    )
    answer = app.test_client().post(path, json=body)
    assert answer.status_code == 200, answer.data
    return json.loads(answer.data), answer.headers.get("Warning")


@pytest.mark.parametrize(
    ("query", "documents", "what"),
    [
        (FOREIGN, ["wait a bit", "read a file"], "the query is not"),
        ("wait", ["wait a bit", "как прочитать файл"], "1 of 2 documents are not"),
        ("wait", ["wait a bit", "read a файл"], None),
    ],
)
def test_scores_of_what_the_model_cannot_read_come_with_a_warning(
    query: str, documents: list[str], what: str | None
) -> None:
    cohere, warning = api("/v1/rerank", {"query": query, "documents": documents})
    _, tei_warning = api("/rerank", {"query": query, "texts": documents})
    assert tei_warning == warning
    assert len(cohere["results"]) == 2
    if what is None:
        assert warning is None
        assert "warnings" not in cohere["meta"]
    else:
        assert warning is not None
        assert warning.startswith(f'299 twinrank "{what} in a script that tiny reads (languages: en)')
        assert cohere["meta"]["warnings"] == [warning.split('"')[1]]


@pytest.mark.live
def test_the_clause_of_a_query_that_the_model_cannot_read_changes_nothing(toy_index: ToyIndex) -> None:
    answer, _ = api("/rescore", {"input": FOREIGN})
    assert answer["reason"] == "language"
    body = {"query": toy_index.query, "size": 20}
    plain = search(toy_index.url, toy_index.name, body)
    rescored = search(toy_index.url, toy_index.name, body | {"rescore": answer["rescore"]})
    assert json.loads(rescored.body)["hits"] == json.loads(plain.body)["hits"]
    for more in ({"input": "wait"}, {"input": FOREIGN, "languages": "any"}):
        answer, _ = api("/rescore", more)
        assert "script_score" in answer["rescore"]["query"]["rescore_query"]
        assert "reason" not in answer


@pytest.mark.parametrize("folder", sorted(BUNDLES.iterdir()), ids=lambda folder: folder.name)
def test_the_bundles_read_english_and_their_stored_vectors_are_still_valid(folder: Path) -> None:
    shipped = Bundle.open(folder)
    assert shipped.manifest.languages == ("en",)
    assert shipped.model_tag == DOCUMENT_TAG
    assert shipped.max_query_chars == 1024


def test_a_bundle_that_names_no_language_has_no_guard() -> None:
    assert bundle().load_scripts() is None
    assert Model.load(bundle()).reads(FOREIGN)
