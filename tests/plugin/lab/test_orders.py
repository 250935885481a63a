"""Both pages as the lab shows them: documents once, titles of every kind, moves, reasons."""

from typing import Any

import pytest

from plugin.compare.placeholders import PLACEHOLDERS
from plugin.lab.orders import (
    SOURCE_CHARS,
    TITLE_CHARS,
    describe_document,
    describe_orders,
    describe_skip,
    find_label,
)
from plugin.lab.question import Question
from plugin.telemetry.outcome import SearchOutcome

FIELDS = ("title", "text")


def found(*ids: str) -> dict[str, Any]:
    """Return an answer with these hits."""
    hits = [{"_index": "a", "_id": each, "_score": 1.5, "_source": {"title": f"T{each}"}} for each in ids]
    return {"hits": {"hits": hits}}


def test_a_document_is_described_once_and_named_by_index_and_id() -> None:
    shown = describe_orders(found("1", "2"), found("2", "3"), SearchOutcome("applied"), FIELDS, FIELDS)
    assert sorted(shown["documents"]) == ["a/1", "a/2", "a/3"]
    assert [hit["key"] for hit in shown["orders"]["opensearch"]] == ["a/1", "a/2"]
    assert [(hit["key"], hit["move"]) for hit in shown["orders"]["twinrank"]] == [
        ("a/2", "↑1"), ("a/3", "new"),
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [{"hits": {}}, {"hits": {"hits": []}}])
def test_no_hits_are_two_empty_orders(answer: dict[str, Any]) -> None:
    shown = describe_orders(answer, answer, SearchOutcome("applied"), FIELDS, FIELDS)
    assert shown == {"documents": {}, "orders": {"opensearch": [], "twinrank": []}}


@pytest.mark.parametrize(
    ("source", "titles", "title", "text"),
    [
        ({"title": "Two devices", "text": "You can watch"}, FIELDS, "Two devices", "You can watch"),
        (
            {"title": "Two devices", "text": "You can watch"},
            ("text", *FIELDS),
            "You can watch",
            "Two devices",
        ),
        ({"text": "only"}, FIELDS, "only", ""),
        ({"name": "other"}, FIELDS, "other", ""),
        ({"title": "a", "x": {"y": "deep"}}, ("x.y", *FIELDS), "deep", "a"),
        ({"n": 3}, FIELDS, '{"n":3}', ""),
        ({}, FIELDS, "7", ""),
        (None, FIELDS, "7", ""),
        ({"title": "x" * 10_000}, FIELDS, "x" * TITLE_CHARS + "…", ""),
        ({"title": "<b>\u202eevil"}, FIELDS, "<b>\u202eevil", ""),
    ],
)
def test_every_hit_has_a_title(
    source: dict[str, Any] | None, titles: tuple[str, ...], title: str, text: str
) -> None:
    shown = describe_document({"_index": "a", "_id": 7, "_source": source}, titles, FIELDS)
    assert (shown["id"], shown["title"], shown["text"]) == ("7", title, text)


def test_a_source_is_shown_as_json_and_not_without_end() -> None:
    hit = {"_index": "a", "_id": "1", "_source": {"title": "é", "list": [1] * 9_000}}
    shown = describe_document(hit, FIELDS, FIELDS)["source"]
    assert shown.startswith('{\n  "title": "é",')
    assert len(shown) == SOURCE_CHARS + 1
    assert describe_document({"_index": "a", "_id": "1"}, FIELDS, FIELDS)["source"] is None


def test_a_remedy_names_the_index_and_has_no_links() -> None:
    skip = describe_skip("not_enabled", "articles")
    assert skip["remedy"].startswith("`twinrank enable articles --field FIELD`.")
    assert "](" not in skip["remedy"] + skip["why"]
    assert skip["order"] == "Not reranked: this is OpenSearch's own order."


@pytest.mark.parametrize(
    ("question", "used", "label"),
    [
        (Question(" a plane "), None, "a plane"),
        (Question("a plane", PLACEHOLDERS[0]), {"query_text": "a plane and more"}, "a plane"),
        (Question("", "{}"), {"query_text": "found inside"}, "found inside"),
        (Question("my name for it", "{}"), None, "my name for it"),
        (Question("", "{}"), None, ""),
    ],
)
def test_a_judgement_is_about_the_text_of_the_query(
    question: Question, used: dict[str, Any] | None, label: str
) -> None:
    assert find_label(question, used) == label
