"""What is shown of a hit: its source fields, or the best that its source has."""

from typing import Any

import pytest

from plugin.compare.hit_text import SHOWN_CHARS, hit_text, hit_title


@pytest.mark.parametrize(
    ("source", "fields", "text"),
    [
        ({"title": "A drill", "body": "cordless"}, ["title", "body"], "A drill · cordless"),
        ({"title": "A drill", "body": "cordless"}, ["body"], "cordless"),
        ({"product": {"name": "A drill"}}, ["product.name"], "A drill"),
        ({"product.name": "A drill"}, ["product.name"], "A drill"),
        ({"tags": ["red", "blue"]}, ["tags"], "red blue"),
        ({"title": "two\n\n lines\tof text"}, ["title"], "two lines of text"),
        ({"title": "", "body": "the rest"}, ["title", "body"], "the rest"),
        ({"n": 1, "name": "a name", "other": "a longer string"}, ["missing"], "a name"),
        ({"n": 1, "deep": [{"x": "short"}, {"y": "the longest one"}]}, [], "the longest one"),
        ({"n": 1, "ok": True}, ["n2"], '{"n":1,"ok":true}'),
    ],
)
def test_a_hit_shows_its_text(source: dict[str, Any], fields: list[str], text: str) -> None:
    assert hit_text({"_source": source}, fields) == text


@pytest.mark.parametrize("hit", [{}, {"_source": {}}, {"_source": None}])
def test_a_hit_without_source_says_so(hit: dict[str, Any]) -> None:
    assert hit_text(hit, ["title"]) == "(no _source)"


def test_a_long_text_is_cut() -> None:
    exact, long = "x" * SHOWN_CHARS, "x" * (SHOWN_CHARS + 1)
    assert hit_text({"_source": {"t": exact}}, ["t"]) == exact
    assert hit_text({"_source": {"t": long}}, ["t"]) == exact + "…"
    assert hit_text({"_source": {"t": "one two"}}, ["t"], chars=3) == "one…"


@pytest.mark.parametrize(
    ("source", "fields", "title"),
    [
        ({"title": "A drill", "body": "cordless"}, ["title", "body"], "A drill"),
        ({"title": " ", "body": "cordless\n and light"}, ["title", "body"], "cordless and light"),
        ({"product": {"name": "A drill"}}, ["product.name"], "A drill"),
        ({"name": "a name", "other": "a longer string"}, ["missing"], "a name"),
        ({"n": 1}, [], '{"n":1}'),
        ({"t": "x" * (SHOWN_CHARS + 1)}, ["t"], "x" * SHOWN_CHARS + "…"),
    ],
)
def test_a_title_is_the_first_field_with_text(source: dict[str, Any], fields: list[str], title: str) -> None:
    assert hit_title({"_id": "7", "_source": source}, fields) == title


def test_without_a_source_a_hit_is_known_by_its_id() -> None:
    assert hit_title({"_id": "7"}, ["title"]) == "7"
    assert hit_title({}, ["title"]) == "(no _source)"
