"""Which ingest pipelines are warned of: real ones, by the fields that their processors write."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.index.ingest_pipelines import pipeline_notes
from tests.support.index_command import Command, lines

pytestmark = pytest.mark.live
FIELDS = ("product.title", "text")

HARMLESS: list[list[dict[str, Any]]] = [
    [],
    [{"lowercase": {"field": "brand"}}, {"date": {"field": "day", "formats": ["ISO8601"]}}],
    [{"set": {"field": "ingested_at", "value": "{{_ingest.timestamp}}"}}],
    [{"uppercase": {"field": "text", "target_field": "shouted"}}],
    [{"copy": {"source_field": "text", "target_field": "label"}}],
    [{"remove": {"field": ["a", "b"]}}, {"rename": {"field": "c", "target_field": "d"}}],
    [{"set": {"field": "product.titles", "value": "x"}}],
    [{"set": {"field": "_routing", "value": "x"}}, {"drop": {"if": "ctx.gone == true"}}],
    [
        {"csv": {"field": "text", "target_fields": ["x", "y"]}},
        {"json": {"field": "raw", "target_field": "j"}},
    ],
    [{"fail": {"message": "no", "if": "false", "on_failure": [{"set": {"field": "failed", "value": 1}}]}}],
]
TOUCHING: list[tuple[list[dict[str, Any]], str]] = [
    ([{"html_strip": {"field": "text"}}], "changes text (processor `html_strip`)"),
    ([{"trim": {"field": "product.title"}}], "changes product.title"),
    ([{"trim": {"field": "_source.text"}}], "changes text"),
    ([{"remove": {"field": ["x", "product"]}}], "changes product.title"),
    ([{"rename": {"field": "text", "target_field": "body"}}], "changes text"),
    ([{"rename": {"field": "body", "target_field": "text"}}], "changes text"),
    ([{"set": {"field": "product.title.raw", "value": "x"}}], "changes product.title"),
    ([{"append": {"field": "text", "value": ["x"]}}], "changes text"),
    ([{"convert": {"field": "n", "type": "string", "target_field": "text"}}], "changes text"),
    ([{"csv": {"field": "raw", "target_fields": ["x", "text"]}}], "changes text"),
    ([{"json": {"field": "raw", "add_to_root": True}}], "`json`, which may change any field"),
    ([{"kv": {"field": "raw", "field_split": " ", "value_split": "="}}], "`kv`, which may change any field"),
    ([{"set": {"field": "{{name}}", "value": "x"}}], "changes {{name}}"),
    ([{"script": {"source": "ctx.brand = 'x'"}}], "`script`, which may change any field"),
    ([{"foreach": {"field": "tags", "processor": {"trim": {"field": "_ingest._value"}}}}], "`foreach`"),
    ([{"dissect": {"field": "raw", "pattern": "%{a} %{b}"}}], "`dissect`, which may change any field"),
    ([{"lowercase": {"field": "brand", "on_failure": [{"set": {"field": "text", "value": "x"}}]}}],
     "changes text (processor `set`)"),
]  # fmt: skip


@pytest.fixture
def notes(client: OpenSearch, opensearch_url: str, index_name: str) -> Iterator[Any]:
    """Yield what gives an index a default pipeline of these processors, and returns the notes."""
    made = []

    def put(name: str, **body: Any) -> str:  # noqa: ANN401
        made.append(f"{index_name}-{name}")
        client.ingest.put_pipeline(id=made[-1], body=body)
        return made[-1]

    def noted(processors: list[dict[str, Any]], **more: Any) -> list[str]:  # noqa: ANN401
        settings = {"index.default_pipeline": put("main", processors=processors, **more)}
        client.indices.create(index=index_name, body={"settings": settings})
        with closing(OpenSearchClient(opensearch_url)) as upstream:
            return pipeline_notes(upstream, metadata.find_write_index(upstream, index_name), FIELDS)

    noted.put = put  # type: ignore[attr-defined]
    yield noted
    client.indices.delete(index=index_name, ignore=[404])
    for name in made:
        client.ingest.delete_pipeline(id=name, ignore=[404])


@pytest.mark.parametrize("processors", HARMLESS, ids=str)
def test_what_changes_other_fields_is_no_concern(notes: Any, processors: list[dict[str, Any]]) -> None:  # noqa: ANN401
    assert notes(processors) == []


@pytest.mark.parametrize(("processors", "reason"), TOUCHING, ids=str)
def test_what_may_change_a_source_field_is_told(
    notes: Any,  # noqa: ANN401
    processors: list[dict[str, Any]],
    reason: str,
) -> None:
    [note] = notes(processors)
    assert reason in note
    assert "-main" in note


def test_pipelines_that_a_pipeline_calls_are_followed(notes: Any) -> None:  # noqa: ANN401
    """Also in a circle, and of a name that is not there."""
    harmless = notes.put("a", processors=[{"trim": {"field": "brand"}}])
    circle = notes.put("b", processors=[{"pipeline": {"name": harmless}}])
    notes.put("a", processors=[{"pipeline": {"name": circle}}])
    touching = notes.put("c", processors=[{"trim": {"field": "text"}}])
    [note] = notes([{"pipeline": {"name": circle}}, {"pipeline": {"name": touching}}])
    assert "changes text" in note


def test_a_pipeline_that_is_missing_may_change_anything(notes: Any) -> None:  # noqa: ANN401
    [note] = notes([{"pipeline": {"name": "twinrank-no-such-pipeline"}}])
    assert "cannot be read" in note


def test_what_a_pipeline_does_after_a_failure_counts(notes: Any) -> None:  # noqa: ANN401
    [note] = notes([{"trim": {"field": "brand"}}], on_failure=[{"set": {"field": "text", "value": "x"}}])
    assert "changes text" in note


def test_the_commands_warn_of_these_alone(
    client: OpenSearch,
    opensearch_url: str,
    index_name: str,
    notes: Any,  # noqa: ANN401
) -> None:
    assert notes([{"lowercase": {"field": "brand"}}]) == []
    command = Command(opensearch_url, index_name)
    assert b"pipeline" not in command("enable", "--field", "text").stderr
    assert b"pipeline" not in command("index", "-", data=lines({"text": "around"})).stderr
    notes.put("main", processors=[{"trim": {"field": "text"}}])
    assert b"changes text" in command("enable", "--field", "text").stderr
    told = command("index", "-", data=lines({"text": "around"}))
    assert b"changes text" in b" ".join((told.stdout + told.stderr).split())
