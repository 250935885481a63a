"""The JSON to deploy, installed on the real server, by what it does there."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.index import mapping, metadata
from opensearch.settings.validation import parse_settings
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.support.http.raw_http import ids, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.paths import ROOT

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
FOLDER = ROOT / "opensearch" / "deploy" / "templates"
NAMES = ("component_template", "index_template", "data_stream_template", "search_pipeline", "ingest_pipeline")
"""The files that need nothing but OpenSearch itself."""


def template(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return content


def request(client: OpenSearch, method: str, path: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
    return client.transport.perform_request(method, path, body=body)


@pytest.fixture
def installed(client: OpenSearch) -> Iterator[None]:
    """Install the templates as docs/how-to/templates.md says; remove them with what was made from them."""
    paths = {
        "/_component_template/twinrank": "component_template",
        "/_index_template/twinrank-articles": "index_template",
        "/_index_template/twinrank-messages": "data_stream_template",
    }
    for path, name in paths.items():
        request(client, "PUT", path, template(name))
    yield
    client.indices.delete(index="articles-*")
    request(client, "DELETE", "/_data_stream/messages*")
    for path in reversed(paths):
        request(client, "DELETE", path)


def test_new_indices_and_data_streams_are_enabled(
    client: OpenSearch, opensearch_url: str, installed: None
) -> None:
    client.index(index="articles-1", body={"title": "alpha"})
    client.create(index="messages", id="1", body={"@timestamp": "2026-01-01", "title": "alpha"})
    client.indices.rollover(alias="messages")
    upstream = OpenSearchClient(opensearch_url)
    found = [*metadata.find_indices(upstream, "articles-1"), *metadata.find_indices(upstream, "messages")]
    assert len(found) == 3
    for index in found:
        settings = index.rerank_settings()
        assert mapping.check(index, settings.field), index.name
        assert settings.model == Bundle.open(DEFAULT_BUNDLE).name
    upstream.close()


def test_the_settings_of_the_template_are_valid() -> None:
    parse_settings(template("component_template")["template"]["mappings"]["_meta"]["rerank"])


def test_the_search_pipeline_shows_covered_documents_and_is_reranked_where_allowed(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex
) -> None:
    name, pipeline = toy_index.name, "twinrank-covered"
    request(client, "PUT", f"/_search/pipeline/{pipeline}", template("search_pipeline"))
    client.index(index=name, id="bare", body={"text": toy_index.query_text}, refresh=True)
    body = {"query": toy_index.query, "size": 100}
    try:
        assert "bare" in ids(search(toy_index.url, name, body))
        straight = search(toy_index.url, name, body, f"?search_pipeline={pipeline}")
        assert "bare" not in ids(straight)
        skipped = search(proxy_url, name, body, f"?search_pipeline={pipeline}")
        assert skipped.rerank_status == "skipped; reason=search_pipeline"
    finally:
        client.delete(index=name, id="bare", refresh=True)


def test_an_allowed_search_pipeline_is_reranked(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    pipeline = "twinrank-covered"
    request(client, "PUT", f"/_search/pipeline/{pipeline}", template("search_pipeline"))
    client.indices.create(index=index_name, body=index_body(toy_index.bundle, pipelines_allowed=[pipeline]))
    source = client.get(index=toy_index.name, id="0")["_source"]
    client.index(index=index_name, id="0", body=source)
    client.index(index=index_name, id="bare", body={"text": toy_index.query_text}, refresh=True)
    answer = search(proxy_url, index_name, {"query": toy_index.query}, f"?search_pipeline={pipeline}")
    assert answer.rerank_status.startswith("applied; window=1; scored=1;")
    assert ids(answer) == ["0"]


def test_the_ingest_pipeline_drops_a_vector_that_comes_along(
    client: OpenSearch, toy_index: ToyIndex, index_name: str
) -> None:
    request(client, "PUT", "/_ingest/pipeline/twinrank-drop-vector", template("ingest_pipeline"))
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    client.reindex(
        body={
            "source": {"index": toy_index.name, "size": 20},
            "max_docs": 20,
            "dest": {"index": index_name, "pipeline": "twinrank-drop-vector"},
        },
        params={"refresh": "true"},
    )
    with_vector = client.count(index=index_name, body={"query": {"exists": {"field": "rerank.vector"}}})
    assert (client.count(index=index_name)["count"], with_vector["count"]) == (20, 0)
    client.index(index=index_name, body={"text": "x"}, params={"pipeline": "twinrank-drop-vector"})


def test_the_files_to_deploy_are_these() -> None:
    assert {f"{name}.json" for name in NAMES} <= {file.name for file in FOLDER.glob("*.json")}
