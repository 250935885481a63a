"""`rules`: what a rule takes, and how a refusal reads."""

from typing import Any

import pytest

from opensearch.index.doc_value_fields import find_doc_value_problems
from opensearch.index.metadata import Index
from opensearch.rawjson.validation import InvalidError
from opensearch.settings.layers import flatten
from opensearch.settings.rules import (
    MAX_HIDDEN,
    MAX_PINS,
    MAX_RULE_BYTES,
    MAX_RULES,
    document_path,
    parse_rule_list,
    read_moment,
)
from opensearch.settings.table import RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import parse_settings

LEAST: dict[str, Any] = {"model": "m", "source_fields": ["t"]}
HIDE = {"when": {"query": {"is": "tent"}}, "then": {"hide": ["1", "2"]}}
BOOST = {
    "when": {"query": {"contains": "summer"}, "from": "2026-06-01", "until": "2026-09-01T00:00:00+02:00"},
    "then": {"boost": {"term": {"season": "summer"}, "factor": 2}, "bury": {"ids": ["9"], "factor": 1.5}},
}
PIN = {"then": {"pin": [{"id": "1", "position": 1}, {"id": "2", "position": 1}]}}
PLAIN = {"when": {"identifier": True}, "then": {"rerank": False}}
ALWAYS = {"then": {"hide": ["recalled"]}}
ALL = [PIN, HIDE, BOOST, PLAIN, ALWAYS]


def parsed(*rules: object) -> RerankSettings:
    return parse_settings(LEAST | {"rules": list(rules)})


def test_rules_survive_the_mapping_and_are_shown_as_they_were_set() -> None:
    settings = parsed(*ALL)
    assert encode_settings(settings) == LEAST | {"rules": ALL}
    assert parse_settings(encode_settings(settings)) == settings
    assert dict(flatten(settings))["rules"] == ALL


def test_a_moment_is_in_milliseconds() -> None:
    assert read_moment("1970-01-02") == read_moment("1970-01-02T01:00:00+01:00") == 86_400_000


def then(**action: object) -> dict[str, Any]:
    return {"then": action}


def when(**condition: object) -> dict[str, Any]:
    return HIDE | {"when": condition}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"when": {}}, "[0].then: expected this setting, found none"),
    (then(), "[0].then: expected something to do: `pin`, `boost`, `bury`, `hide` or `rerank: false`"),
    (then(hide=["1"], hides=["2"]), "[0].then.hides: expected one of pin, boost"),
    (then(hide=[""]), "[0].then.hide[0]: expected"),
    (then(hide=["i" * 513]), "[0].then.hide[0]: expected"),
    (then(pin=[{"id": "1"}]), "[0].then.pin[0].position: expected this setting, found none"),
    (then(pin=[{"id": "1", "position": 0}]), "[0].then.pin[0].position: expected"),
    (
        then(pin=[{"id": "1", "position": 1}, {"id": "1", "position": 2}]),
        "[0].then.pin[1].id: expected another document than the pins before it, found '1'",
    ),
    (then(boost={"ids": ["1"]}), "[0].then.boost.factor: expected this setting, found none"),
    (then(boost={"factor": 2}), "[0].then.boost: expected either `ids` or `term`, found neither"),
    (
        then(bury={"factor": 2, "ids": ["1"], "term": {"a": "b"}}),
        "[0].then.bury: expected either `ids` or `term`, found both",
    ),
    (
        then(boost={"factor": 2, "term": {}}),
        "[0].then.boost.term: expected one field with its value, found 0",
    ),
    (
        then(boost={"factor": 2, "term": {"a": 1, "b": 2}}),
        "[0].then.boost.term: expected one field with its value, found 2",
    ),
    (
        then(boost={"factor": 2, "term": {"a*": 1}}),
        "[0].then.boost.term: expected the name of one field, found 'a*'",
    ),
    (then(boost={"factor": 0.5, "ids": ["1"]}), "[0].then.boost.factor: expected"),
    (then(boost={"factor": 101, "ids": ["1"]}), "[0].then.boost.factor: expected"),
    (when(query={}), "[0].when.query: expected one of `is`, `contains` and `pattern`, found none"),
    (
        when(query={"is": "a", "pattern": "b"}),
        "[0].when.query: expected one of `is`, `contains` and `pattern`, found is, pattern",
    ),
    (when(query={"is": " "}), "[0].when.query.is: expected a text, found ' '"),
    (when(query={"matches": "a.*"}), "[0].when.query.matches: expected one of is, contains, pattern"),
    (when(**{"from": "soon"}), "[0].when.from: expected a date such as 2026-01-31"),
    (when(until="2026-13-01"), "[0].when.until: expected a date such as 2026-01-31"),
    (
        when(**{"from": "2026-02-01", "until": "2026-01-31"}),
        "[0].when.until: expected a moment after `from`, 2026-02-01, found 2026-01-31",
    ),
    (
        when(**{"from": "2026-02-01", "until": "2026-02-01T00:00:00Z"}),
        "[0].when.until: expected a moment after `from`",
    ),
    (when(identifier="yes"), "[0].when.identifier: expected true or false or null"),
    (when(user="me"), "[0].when.user: expected one of query, identifier, from, until, found an unknown key"),
]


@pytest.mark.parametrize(("rule", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_a_wrong_rule_is_named(rule: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parsed(rule)
    assert f"_meta.rerank.rules{problem}" in str(raised.value)


def test_the_place_of_a_wrong_rule_is_its_place_in_the_list() -> None:
    with pytest.raises(SettingsError, match=r"rules\[2\]\.then: "):
        parsed(HIDE, BOOST, then())


def test_there_is_an_end_to_rules() -> None:
    assert len(parsed(*[HIDE] * MAX_RULES).rules) == MAX_RULES
    with pytest.raises(SettingsError, match="rules: expected at most 200 rules, found 201"):
        parsed(*[HIDE] * (MAX_RULES + 1))
    long = {"when": {"query": {"is": "q" * 500}}, "then": {"hide": ["1"]}}
    with pytest.raises(SettingsError, match=f"rules: expected at most {MAX_RULE_BYTES} bytes of JSON"):
        parsed(*[long] * 150)
    many = [{"then": {"hide": [f"{n}-{m}" for m in range(101)]}} for n in range(10)]
    pins = [{"then": {"pin": [{"id": f"{n}", "position": 1}]}} for n in range(MAX_PINS + 1)]
    with pytest.raises(SettingsError, match=f"expected at most {MAX_PINS} pinned documents"):
        parsed(*pins)
    with pytest.raises(SettingsError, match=f"expected at most {MAX_HIDDEN} hidden documents"):
        parsed(*many)


def test_a_term_needs_doc_values() -> None:
    fields = {"season": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "new": {"type": "boolean"}}
    index = Index("shop", {"properties": fields}, {}, {})
    assert list(find_doc_value_problems(index, parsed(BOOST))) == [
        "rules[0].then.boost.term: expected a keyword, numeric or boolean field with doc values, found season"
        " of shop, a field of type text. Use season.raw"
    ]
    raised = then(boost={"term": {"new": True}, "factor": 2})
    assert list(find_doc_value_problems(index, parsed(raised))) == []


@pytest.mark.parametrize("name", ["", "index", "index/", "/id", "in*dex/id", "a,b/id", "in dex/id"])
def test_a_document_is_named_by_index_and_id(name: str) -> None:
    assert parse_settings(LEAST | {"rules_from": "index/an/id 1"}).rules_from == "index/an/id 1"
    with pytest.raises(SettingsError, match="rules_from: expected"):
        parse_settings(LEAST | {"rules_from": name})


def test_the_path_of_a_document_is_encoded() -> None:
    assert document_path("rules/an/id é") == "/rules/_doc/an%2Fid%20%C3%A9"


def test_a_document_may_have_more_rules_and_is_checked() -> None:
    assert len(parse_rule_list({"rules": [HIDE] * 5000}, "r/1")) == 5000
    for source, problem in (
        ({"rules": [HIDE] * 5001}, "r/1.rules: expected at most 5000 rules, found 5001"),
        ({"rules": [HIDE, then()]}, "r/1.rules[1].then: expected something to do"),
        ({"rule": []}, "r/1.rule: expected one of rules, found an unknown key"),
        (None, "r/1: expected"),
    ):
        with pytest.raises(InvalidError) as raised:
            parse_rule_list(source, "r/1")
        assert problem in str(raised.value)
