"""`filter_path`, widened by what reordering needs, and cut again from the answer."""

import json

import msgspec
import pytest
from msgspec import Raw

from opensearch.rawjson.filter_path import FilterPath, widen
from opensearch.rawjson.style import Compact, Pretty

NEEDED = (("timed_out",), ("hits", "hits", "_score"), ("hits", "hits", "fields", "rerank.vector"))


def known(parameter: str) -> FilterPath:
    found = widen(parameter, NEEDED)
    assert found is not None, parameter
    return found


@pytest.mark.parametrize("parameter", ["", "hits,timed_out", "*", "**", "-took", "-hits.hits._source"])
def test_what_shows_everything_needed_stays(parameter: str) -> None:
    assert known(parameter) == FilterPath(parameter, ())


def test_what_is_missing_is_added_and_hidden() -> None:
    found = known("hits.hits._id")
    assert found.parameter == "hits.hits._id,timed_out,hits.hits._score,hits.hits.fields.rerank\\.vector"
    assert found.hidden == NEEDED


@pytest.mark.parametrize("parameter", [" hits.hits._id ,, took", "hits.hits._id,took"])
def test_spaces_and_empty_patterns_say_nothing(parameter: str) -> None:
    assert known(parameter).parameter.startswith("hits.hits._id,took,")


def test_an_exclusion_in_the_way_is_lifted_and_done_here() -> None:
    found = known("-hits.hits._score,-took")
    assert (found.parameter, found.hidden) == ("-took", (("hits", "hits", "_score"),))


def test_an_answer_that_was_filtered_is_asked_for_filtered() -> None:
    assert known("-hits.hits._score").parameter == "-twinrank.nothing"


@pytest.mark.parametrize("parameter", [
    "hits.total", "took", "-hits", "-hits.hits", "-*", "-**", "-hits.*", "-**._score", "-hits.hits._sc*",
])  # fmt: skip
def test_where_no_hit_is_shown_or_it_cannot_be_undone(parameter: str) -> None:
    assert widen(parameter, NEEDED) is None


@pytest.mark.parametrize(("pattern", "is_wanted"), [
    ("hits.hits._s*", True), ("h*.h*._score", True), ("**._score", True), ("hits.hits._s?ore", False),
    ("hits.hits._[s]core", False),
])  # fmt: skip
def test_only_stars_are_wild(pattern: str, is_wanted: bool) -> None:
    assert (("hits", "hits", "_score") not in known(pattern).hidden) == is_wanted


def hit(text: str) -> dict[str, Raw]:
    return msgspec.json.decode(text, type=dict[str, Raw])


def test_hidden_members_of_a_hit_go_with_the_object_that_held_nothing_else() -> None:
    found = known("hits.hits._id")
    shown = found.hit(hit('{"_id":"1","_score":1.50,"fields":{"rerank.vector":["QQ"]}}'), Compact())
    assert msgspec.json.encode(shown) == b'{"_id":"1"}'
    both = found.hit(hit('{"_id":"1","fields":{"n":[1.50],"rerank.vector":["QQ"]}}'), Compact())
    assert bytes(both["fields"]) == b'{"n":[1.50]}'


def test_what_is_cut_keeps_the_spaces_of_a_pretty_answer() -> None:
    found = widen("_shards.total,hits", (("_shards", "failed"),))
    assert found is not None
    top = {"_shards": {"total": 1, "failed": 0}, "hits": {}}
    text = json.dumps(top, indent=2, separators=(",", " : "))
    shown = found.top(hit(text), Pretty())
    assert bytes(shown["_shards"]) == b'{\n    "total" : 1\n  }'
