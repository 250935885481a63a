"""The setting `experiment`: what is accepted, what is refused and how, and which settings an arm has."""

from typing import Any

import pytest

from opensearch.settings.experiment import ExperimentArm, ExperimentSettings
from opensearch.settings.layers import check_server_defaults, effective_settings, flatten
from opensearch.settings.table import RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import parse_settings

LEAST = {"model": "m", "source_fields": ["t"]}
LIGHTER: dict[str, Any] = {"fusion": {"weight": 5}}
ARMS: dict[str, Any] = {"control": "opensearch", "b": {}}
TWO: dict[str, Any] = {"control": {}, "lighter": LIGHTER}


def parse(experiment: object, **more: object) -> RerankSettings:
    return parse_settings(LEAST | more | {"experiment": experiment})


def test_no_experiment_is_the_default() -> None:
    assert parse_settings(LEAST).experiment == ExperimentSettings()
    assert "experiment" not in encode_settings(parse_settings(LEAST))
    assert parse({}) == parse_settings(LEAST)


@pytest.mark.parametrize(
    "experiment",
    [
        {"name": "autumn", "arms": TWO},
        {"name": "autumn", "mode": "split", "arms": TWO | {"third": "opensearch"}, "share": 0.1},
        {"name": "autumn", "arms": {"a": "opensearch", "b": {}}, "control": "a", "salt": "2"},
        {"name": "autumn", "arms": TWO, "unit": {"header": "X-Session"}},
    ],
)
def test_what_is_written_is_read_again(experiment: dict[str, Any]) -> None:
    settings = parse(experiment)
    written = encode_settings(settings)
    assert written["experiment"] == {"mode": "interleave"} | experiment or written["experiment"] == experiment
    assert parse_settings(written) == settings


def test_arms_come_with_the_control_first_whatever_the_order_of_keys() -> None:
    arms = {"z": {}, "a": {}, "m": LIGHTER}
    experiment = parse({"name": "autumn", "mode": "split", "arms": arms, "control": "m"}).experiment
    assert list(experiment.named_arms) == ["m", "a", "z"]


def test_an_arm_changes_the_index_own_fusion() -> None:
    settings = parse({"name": "autumn", "arms": TWO}, fusion={"weight": 8, "feedback": 0.5})
    arms = settings.experiment.named_arms
    found = [settings.for_arm(arm).fusion for arm in arms.values() if isinstance(arm, ExperimentArm)]
    assert [(fusion.weight, fusion.feedback) for fusion in found] == [(8, 0.5), (5, 0.5)]


@pytest.mark.parametrize(
    ("experiment", "place", "found"),
    [
        ([{"name": "a"}, {"name": "b"}], "", "one experiment at a time, a JSON object, found a list of 2"),
        ("autumn", "", "expected a JSON object"),
        ({"name": "a", "arms": {"control": {}}}, ".arms", "expected two arms, found 1"),
        ({"name": "a", "arms": TWO | {"c": {}}}, ".arms", "expected two arms, found 3"),
        ({"name": "a", "mode": "split", "arms": {"control": {}}}, ".arms", "expected 2 to 8 arms, found 1"),
        ({"name": "a"}, ".arms", "expected two arms, found 0"),
        ({"arms": TWO}, ".name", "expected a name for the experiment, found none"),
        ({"name": "no_unit", "arms": TWO}, ".name", "found 'no_unit'"),
        ({"name": "a b", "arms": TWO}, ".name", "expected a text matching"),
        ({"name": "a", "arms": {"x": {}, "y": {}}}, ".control", "one of x, y, found 'control'"),
        ({"name": "a", "arms": {"control": "opensearh", "b": {}}}, ".arms.control", "found 'opensearh'"),
        ({"name": "a", "arms": {"control": 3, "b": {}}}, ".arms.control", "found a whole number"),
        ({"name": "a", "arms": {"control": "opensearch", "b": "opensearch"}}, ".arms", "one arm that is"),
        ({"name": "a", "arms": {"b": {"fusoin": {}}}}, ".arms.b.fusoin", "mean `fusion`"),
        ({"name": "a", "arms": {"b": {"filters": []}}}, ".arms.b.filters", "an unknown key"),
        ({"name": "a", "arms": {"control": {}, "b": {"window_size": 50}}}, ".arms.b.window_size", "own 100"),
        ({"name": "a", "arms": {"control": {}, "b": {"field": "v"}}}, ".arms.b.field", "own 'rerank.vector'"),
        ({"name": "a", "arms": {"b": {"fusion": {"weight": 41}}}}, ".arms.b.fusion.weight", "<= 40"),
        (
            {"name": "a", "arms": {"control": {}, "b": {"fusion": {"method": "weighted", "weight": 3}}}},
            ".arms.b.fusion.weight",
            "a share of 0 to 1",
        ),
        ({"name": "a", "arms": {"a,b": {}, "control": {}}}, ".arms", "found 'a,b'"),
        ({"name": "a", "arms": {"interleaved": {}, "control": {}}}, ".arms", "found 'interleaved'"),
        ({"name": "a", "arms": TWO, "share": 0}, ".share", "> 0"),
        ({"name": "a", "arms": TWO, "share": 1.5}, ".share", "<= 1"),
        ({"name": "a", "arms": TWO, "mode": "both"}, ".mode", "expected one of split, interleave, shadow"),
        ({"name": "no_bundle", "arms": TWO}, ".name", "found 'no_bundle'"),
        ({"name": "a", "arms": {"control": {}, "b": {"bundle": "../x"}}}, ".arms.b.bundle", "a text"),
        ({"name": "a", "arms": {"control": {}, "b": {"bundle": 3}}}, ".arms.b.bundle", "found 3"),
        ({"name": "a", "arms": TWO, "unit": {"header": "Authorization"}}, ".unit.header", "not an account"),
        ({"name": "a", "arms": TWO, "unit": {"header": "Cookie"}}, ".unit.header", "not an account"),
        ({"name": "a", "arms": TWO, "unit": {"header": "a b"}}, ".unit.header", "a text matching"),
        ({"name": "a", "arms": TWO, "unit": "session"}, ".unit", 'found "session"'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(experiment: object, place: str, found: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(experiment)
    message = str(raised.value)
    assert message.startswith(f"_meta.rerank.experiment{place}: expected"), message
    assert found in message, message


def test_arms_may_name_the_window_that_they_share() -> None:
    arms = {"control": {}, "b": {"window_size": 50, "field": "rerank.vector"}}
    assert parse({"name": "a", "arms": arms}, window_size=50).window_size == 50


def test_a_shadow_of_opensearchs_own_order_has_a_share_of_searches() -> None:
    afterwards = parse({"name": "a", "arms": ARMS, "mode": "shadow"}).experiment
    assert (afterwards.compares_afterwards, afterwards.share_of_searches) == (True, 0.05)
    third = parse({"name": "a", "arms": ARMS, "mode": "shadow", "share": 0.3}).experiment
    assert (third.share_of_searches, third.share_of_units) == (0.3, 1)
    for other in ({"arms": TWO, "mode": "shadow"}, {"arms": ARMS}):
        found = parse({"name": "a", "share": 0.3, **other}).experiment
        assert (found.compares_afterwards, found.share_of_searches, found.share_of_units) == (False, 1, 0.3)
    assert parse({"name": "a", "arms": TWO}).experiment.share_of_units == 1


def test_arms_name_their_bundles() -> None:
    arms = {"control": {"bundle": "z"}, "a": {"bundle": "b@1.2"}, "c": {"bundle": "z", **LIGHTER}, "d": {}}
    settings = parse({"name": "a", "mode": "split", "arms": arms})
    assert settings.experiment.bundles == ("b@1.2", "z")
    assert parse_settings(encode_settings(settings)) == settings


def test_interleaved_pages_have_first_stage_scores() -> None:
    with pytest.raises(SettingsError, match=r"\.mode: expected another mode, or `score: first_stage`"):
        parse({"name": "a", "arms": TWO}, score="fused")
    assert parse({"name": "a", "mode": "split", "arms": TWO}, score="fused").score == "fused"


def test_a_server_starts_no_experiment() -> None:
    with pytest.raises(SettingsError, match=r"defaults\.experiment: expected only settings that a server"):
        check_server_defaults({"experiment": {"name": "a", "arms": TWO}}, "defaults")


def test_a_report_of_the_settings_names_their_origin() -> None:
    rerank = LEAST | {"experiment": {"name": "autumn", "arms": TWO, "unit": {"header": "X-Session"}}}
    found = {each.name: each for each in effective_settings(parse_settings(rerank), rerank, {}, {})}
    assert found["experiment.arms"].value == {"control": {}, "lighter": LIGHTER}
    assert found["experiment.unit"].value == {"header": "X-Session"}
    assert {found[f"experiment.{name}"].origin for name in ("name", "arms", "unit")} == {"index mapping"}
    assert found["experiment.share"].origin == "default"
    assert dict(flatten(parse_settings(rerank))).keys() == dict(flatten(parse_settings(LEAST))).keys()
