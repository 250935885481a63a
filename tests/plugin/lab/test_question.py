"""What the page asks becomes a search body, or an error that says where the body is wrong."""

import json
from typing import Any

import pytest

from opensearch.rawjson.validation import InvalidError
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from opensearch.settings.validation import parse_settings
from plugin.compare.placeholders import PLACEHOLDERS
from plugin.lab.question import (
    MAX_HITS,
    BodyTextError,
    Question,
    parse_body,
    read_question,
    set_controls,
)

SETTINGS = parse_settings({"model": "tiny", "source_fields": ["title", "text"]})
OURS, PLAIN = Target(SETTINGS), Target(Skip("not_enabled"))


def test_a_text_is_searched_in_the_source_fields() -> None:
    search, notes = read_question({"text": "a plane"}).build_search(OURS)
    assert search["query"] == {"multi_match": {"query": "a plane", "fields": ["title", "text"]}}
    assert notes == []


def test_a_text_on_an_index_without_settings_is_searched_in_all_fields() -> None:
    search, _ = read_question({"text": "a plane"}).build_search(PLAIN)
    assert search["query"] == {"multi_match": {"query": "a plane"}}


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_the_text_replaces_its_placeholder_in_every_string(placeholder: str) -> None:
    body = {"query": {"bool": {"should": [{"match": {"t": placeholder}}, {"term": {"n": 1}}]}, "x": None}}
    text = 'quotes " and \\ and {"a": 1}'
    search, notes = read_question({"text": text, "body": json.dumps(body)}).build_search(OURS)
    assert search["query"]["bool"]["should"][0] == {"match": {"t": text}}
    assert notes == []


def test_a_placeholder_without_a_text_asks_for_one() -> None:
    with pytest.raises(BodyTextError, match="type the text"):
        Question(body=json.dumps({"query": {"match": {"t": PLACEHOLDERS[0]}}})).build_search(OURS)


def test_a_text_beside_a_body_without_placeholder_is_said_to_be_unused() -> None:
    _, notes = Question(text="a", body='{"query": {"match_all": {}}}').build_search(OURS)
    assert notes == [f"The body has no {PLACEHOLDERS[0]}, so the text is not used."]


def test_more_hits_than_the_page_shows_are_not_asked_for() -> None:
    search, [note] = Question(body=json.dumps({"size": MAX_HITS + 900})).build_search(OURS)
    assert search == {"size": MAX_HITS}
    assert note == "The lab shows 100 hits of the 1,000 that the body asks for."


def test_searches_of_the_page_are_recorded_nowhere() -> None:
    body = {"size": 3, "ext": {"ubi": {"query_id": "a"}, "rerank": {"window_size": 9}}}
    search, [note] = Question(body=json.dumps(body)).build_search(OURS)
    assert search == {"size": 3, "ext": {"rerank": {"window_size": 9}}}
    assert "ext.ubi" in note


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"query": }', 1, 11),
        ('{\n  "query": {"match": {"a": "b"}}\n  "size": 3\n}', 3, 3),
        ('{"a": 1,}', 1, 9),
        ("{'a': 1}", 1, 2),
        ('{"a": "b', 1, 7),
        ("{", 1, 2),
        ("[1]", 1, 1),
        ("words", 1, 1),
        ('{"a": NaN}', None, None),
        ('{"a": "\\ud800"}', None, None),
        ("[" * 100_000, None, None),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_its_place(
    text: str, line: int | None, column: int | None
) -> None:
    with pytest.raises(BodyTextError) as found:
        parse_body(text)
    assert (found.value.line, found.value.column) == (line, column)
    if line is not None and text[0] == "{":
        assert f"Line {line}, column {column}: " in str(found.value)


def test_long_numbers_stay_as_they_were_written() -> None:
    assert parse_body('{"a": 12345678901234567890123}')["a"] == 12345678901234567890123


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "a text or a search body"),
        ({"text": "  ", "body": "\n"}, "a text or a search body"),
        ({"txt": "a"}, "did you mean `text`"),
        ({"text": 7}, "found 7"),
        ({"text": "a", "rerank": []}, "a JSON object"),
    ],
)
def test_a_request_of_another_form_is_refused(value: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidError, match=words):
        read_question(value)


@pytest.mark.parametrize(
    ("search", "controls", "rerank"),
    [
        ({}, {}, {}),
        ({}, {"window_size": 5, "fusion": {"weight": 2}}, {"window_size": 5, "fusion": {"weight": 2}}),
        (
            {"ext": {"rerank": {"explain": True, "fusion": {"weight": 1, "feedback": 0}}}},
            {"fusion": {"weight": 2}},
            {"explain": True, "fusion": {"weight": 2, "feedback": 0}},
        ),
    ],
)
def test_sliders_win_over_the_bodys_own_controls(
    search: dict[str, Any], controls: dict[str, Any], rerank: dict[str, Any]
) -> None:
    assert set_controls(search, controls)["ext"]["rerank"] == rerank


@pytest.mark.parametrize("ext", [[], {"rerank": 7}, {"rerank": {"fusion": "x"}}])
def test_controls_that_are_no_object_are_left_to_the_proxy_to_refuse(ext: object) -> None:
    assert set_controls({"ext": ext}, {"window_size": 5}) == {"ext": ext}
