"""Which rules apply to a search: by its text, by the time, and for each of its indices."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from opensearch.search.request import SearchRequest
from opensearch.search.rules import NO_EFFECTS, HiddenDocuments, RuleEffects
from opensearch.settings.rules import read_moment
from opensearch.settings.skip import Skip
from opensearch.settings.target import IndexRecord, Target, resolve_records
from plugin.search.rules import RuleBooks, find_effects

MATCH: dict[str, Any] = {"match": {"text": "Red  Tent"}}


def hide(*ids: str, **when: object) -> dict[str, Any]:
    return {"when": when, "then": {"hide": list(ids)}}


def target_of(*rules: dict[str, Any], **others: list[dict[str, Any]]) -> Target:
    """Return a target of the index `shop` with these rules, and of others with theirs, each older."""
    named = {**others, "shop": list(rules)}
    records = {
        name: IndexRecord({"model": "m", "source_fields": ["t"], "rules": each}, created_ms=number)
        for number, (name, each) in enumerate(named.items())
    }
    return resolve_records(records, {})


def request(body: dict[str, Any] | None = None, parameters: str = "") -> SearchRequest:
    whole = {"query": MATCH} if body is None else body
    return SearchRequest.parse(f"/shop/_search{parameters}", json.dumps(whole).encode())


def hidden(target: Target, search: SearchRequest, now_s: float | None = None) -> list[str]:
    return [id_ for each in find_effects(search, target, now_s).hidden for id_ in each.ids]


def test_rules_are_found_by_the_text() -> None:
    target = target_of(
        hide("is", query={"is": "RED tent"}),
        hide("contains", query={"contains": "tent"}),
        hide("pattern", query={"pattern": "r?d*"}),
        hide("other", query={"is": "tent"}),
        hide("code", identifier=True),
        hide("words", identifier=False, query={"contains": "tent"}),
        hide("always"),
    )
    assert hidden(target, request()) == ["is", "contains", "pattern", "words", "always"]
    assert hidden(target, request({"query": {"match": {"text": "ab-12"}}})) == ["code", "always"]
    assert hidden(target, request({})) == ["always"]
    assert hidden(target, request({}, "?q=red+tent"))[0] == "is"


def test_of_several_texts_the_longest_counts_and_a_given_one_before_all() -> None:
    target = target_of(hide("1", query={"is": "red tent"}), hide("2", query={"is": "tent"}))
    several = {"query": {"bool": {"should": [{"match": {"a": "tent"}}, MATCH]}}}
    assert hidden(target, request(several)) == ["1"]
    given = {"ext": {"rerank": {"query_context": {"query_text": "tent"}}}}
    assert hidden(target, request(several | given)) == ["2"]


def test_a_rule_has_its_time() -> None:
    target = target_of(hide("1", **{"from": "2026-06-01", "until": "2026-06-02"}))
    for moment, found in (
        ("2026-05-31T23:59:59Z", []),
        ("2026-06-01", ["1"]),
        ("2026-06-01T23:59:59Z", ["1"]),
        ("2026-06-02", []),
    ):
        assert hidden(target, request(), read_moment(moment) / 1000) == found


def test_hides_are_the_union_and_scoped_to_their_index() -> None:
    target = target_of(hide("1", "2"), hide("2", "3"), old=[hide("1", "2"), hide("3")], plain=[hide("9")])
    assert find_effects(request(), target).hidden == (
        HiddenDocuments(("old", "shop"), ("1", "2", "3")),
        HiddenDocuments(("plain",), ("9",)),
    )


def test_boosts_are_those_of_the_settings_that_hold() -> None:
    boost = {"then": {"boost": {"ids": ["1"], "factor": 2}}}
    bury = {"then": {"bury": {"ids": ["2"], "factor": 3}, "rerank": False}}
    found = find_effects(request(), target_of(boost, hide("3"), bury, old=[bury]))
    assert [(each.rule, each.is_bury, each.action.factor) for each in found.boosts] == [
        (0, False, 2),
        (2, True, 3),
    ]
    assert not found.reranks
    assert find_effects(request(), target_of(boost, old=[bury])).reranks


def test_pins_are_those_of_the_settings_that_hold() -> None:
    pins = [{"then": {"pin": [{"id": each, "position": 2}]}} for each in ("1", "2")]
    found = find_effects(request(), target_of(*pins, old=[hide("9"), pins[0]]))
    assert [(each.id, each.position) for each in found.pins] == [("1", 2), ("2", 2)]
    assert found.describe() == "hide:1,pin:off"
    assert replace(found, num_pinned=0).describe(3) == "hide:1,boost:3,pin:0"


def test_indices_that_do_not_agree_hide_all_the_same() -> None:
    """Reranking is skipped then, and rules are not."""
    records = {
        "shop": IndexRecord({"model": "m", "source_fields": ["t"], "rules": [hide("1")]}),
        "bare": IndexRecord(None),
        "wrong": IndexRecord({"model": 5, "rules": [hide("2")]}),
    }
    target = resolve_records(records, {})
    assert target.settings == Skip("indices")
    assert hidden(target, request()) == ["1"]


def test_a_request_can_leave_rules_out() -> None:
    target = target_of(hide("1"))
    assert find_effects(request({"ext": {"rerank": {"rules": False}}}), target) == NO_EFFECTS
    assert hidden(target, request({"ext": {"rerank": {"rules": True}}})) == ["1"]


BARRED = [
    request({"sort": ["price"]}),
    request({"sort": ["_score", "price"]}),
    request({"search_after": [1]}),
    request({}, "?scroll=1m"),
    request({"slice": {"id": 0, "max": 2}}),
    request({"query": MATCH, "ext": {"rerank": {"wrong": 1}}}),
    SearchRequest("/shop/_search", {}, {"query": Raw(b"{")}),
    Skip("body"),
]


@pytest.mark.parametrize("search", BARRED)
def test_what_has_another_order_or_cannot_be_read_is_not_ruled(search: SearchRequest | Skip) -> None:
    assert find_effects(search, target_of(hide("1"))) == RuleEffects(is_barred=True)


def test_another_order_is_no_obstacle_to_rules_that_do_not_apply() -> None:
    target = target_of(hide("1", query={"is": "another"}))
    assert find_effects(request({"sort": ["price"]}), target) == NO_EFFECTS
    assert find_effects(request(), target_of()) == NO_EFFECTS


def test_rules_that_were_read_again_have_their_book_already() -> None:
    books, rules = RuleBooks(), [hide("1", query={"is": "red tent"})]
    first, again, other = (target_of(*each).holding_rules for each in (rules, rules, [hide("2")]))
    assert first is not again
    assert books.find(first) is books.find(again) is books.find(first)
    assert books.find(other) is not books.find(first)


def test_two_targets_of_equal_rules_have_their_own_books() -> None:
    """Books are found by identity; one that is gone must not answer for another at its address."""
    for number in range(50):
        rules = msgspec.json.decode(msgspec.json.encode([hide(f"{number}")]))
        assert hidden(target_of(*rules), request()) == [f"{number}"]
