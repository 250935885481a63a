"""Source fields that never have text are named when they are chosen, with the field to take instead."""

from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.index.metadata import Index
from opensearch.index.source_fields import field_notes, propose_fields, text_fields
from tests.support.index_command import Command

PROPERTIES: dict[str, Any] = {
    "title": {"type": "text", "copy_to": "all"},
    "body": {
        "type": "text",
        "copy_to": ["all", "other"],
        "fields": {"english": {"type": "text", "analyzer": "english"}},
    },
    "headline": {"type": "alias", "path": "title"},
    "all": {"type": "text"},
    "sku": {"type": "keyword"},
    "price": {"type": "float"},
    "place": {"type": "geo_point"},
    "seen": {"type": "date"},
    "product": {"properties": {"name": {"type": "text"}, "size": {"type": "integer"}}},
    "parts": {"type": "nested", "properties": {"label": {"type": "keyword"}}},
    "attributes": {"type": "flat_object"},
}
MAPPING: dict[str, Any] = {"properties": PROPERTIES, "derived": {"day": {"type": "keyword"}}}


def notes(name: str, **mapping: Any) -> list[str]:  # noqa: ANN401  # any JSON
    return list(field_notes(Index("shop", {**MAPPING, **mapping}, {}, {}), [name]))


@pytest.mark.parametrize("name", ["title", "body", "sku", "product.name", "parts.label"])
def test_a_field_with_text_is_passed_over(name: str) -> None:
    assert notes(name) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("all", ["`copy_to` target", "Use title, body"]),
        ("body.english", ["a multi-field", "Use body"]),
        ("headline", ["an alias", "Use title"]),
        ("price", ["type float, not a text", "title, body"]),
        ("place", ["type geo_point, not a text"]),
        ("seen", ["type date, not a text"]),
        ("attributes", ["type flat_object, not a text"]),
        ("product", ["an object", "Use product.name"]),
        ("parts", ["an object", "Use parts.label"]),
        ("day", ["a derived field"]),
        ("product.nam", ["check the spelling", "Did you mean product.name?"]),
    ],
)
def test_a_field_without_text_is_named_with_what_to_take(name: str, words: list[str]) -> None:
    [note] = notes(name)
    assert note.startswith(f"{name}: ")
    assert all(word in note for word in words), note


def test_a_field_that_a_strict_mapping_lacks_can_never_come() -> None:
    [note] = notes("titel", dynamic="strict")
    assert "whose mapping is strict: no document can have it. Did you mean title?" in note


def test_analyzed_fields_are_proposed_first() -> None:
    index = Index("shop", MAPPING, {}, {})
    assert text_fields(index) == ["title", "body", "product.name", "sku", "parts.label"]
    assert propose_fields(index).startswith(" Fields of shop with text: title, body, ")
    assert propose_fields(Index("empty", {}, {}, {})) == ""


@pytest.mark.live
def test_enable_says_it_on_a_real_mapping(opensearch_url: str, index_name: str, client: OpenSearch) -> None:
    client.indices.create(index=index_name, body={"mappings": {"properties": PROPERTIES}})
    command = Command(opensearch_url, index_name)
    done = command("enable", "--field", "all", "--field", "price", "--field", "title", "--dry-run")
    assert done.returncode == 0
    noted = [line for line in done.stderr.decode().splitlines() if "note: " in line]
    assert [line.split(": ")[1] for line in noted] == ["all", "price"]
    unnamed = command("enable")
    assert unnamed.returncode == 1
    assert f"Fields of {index_name} with text: body, product.name, title".encode() in unnamed.stderr
