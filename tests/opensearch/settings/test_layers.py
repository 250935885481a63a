"""Layers of settings: a server's defaults below the mapping, and where each value comes from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.settings.layers import (
    OF_AN_INDEX,
    BundleDefaults,
    apply_defaults,
    check_server_defaults,
    effective_settings,
    flatten,
)
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings, SettingsError
from opensearch.settings.target import IndexRecord, find_problem, resolve_records
from opensearch.settings.validation import parse_settings

LEAST: dict[str, Any] = {"model": "m", "source_fields": ["t"]}
DEFAULTS = {"window_size": 40, "fusion": {"weight": 3}, "deadline_ms": 20}


def origins(rerank: dict[str, Any], template: dict[str, Any] | None = None) -> dict[str, tuple[Any, str]]:
    settings = parse_settings(apply_defaults(DEFAULTS, rerank))
    found = effective_settings(settings, rerank, template or {}, DEFAULTS)
    return {each.name: (each.value, each.origin) for each in found}


def test_every_value_says_where_it_comes_from() -> None:
    rerank = LEAST | {"window_size": 70, "on_failure": "error"}
    found = origins(rerank, template={"window_size": 70, "on_failure": "first_stage", "model": "m"})
    assert found["window_size"] == (70, "index template")
    assert found["on_failure"] == ("error", "index mapping")
    assert found["model"] == ("m", "index template")
    assert found["source_fields"] == (("t",), "index mapping")
    assert found["fusion.weight"] == (3.0, "server defaults")
    assert found["deadline_ms"] == (20, "server defaults")
    assert found["fusion.method"] == ("log_linear", "default")
    settings = parse_settings(LEAST)
    alone = {each.name: each.origin for each in effective_settings(settings, LEAST, {}, {})}
    assert alone["fusion.weight"] == "model bundle"
    bundle = BundleDefaults("b", "m", {"weight": 12.0, "feedback": 0.5, "smoothing": 0.0})
    values = {each.name: each.value for each in effective_settings(settings, LEAST, {}, {}, bundle)}
    assert (values["fusion.weight"], values["fusion.smoothing"]) == (12.0, 0.0)
    assert values["migration.model"] is None
    assert set(found) == {name for name, _ in flatten(settings)}


def test_a_bundle_says_nothing_for_other_methods_and_models() -> None:
    bundle = BundleDefaults("b", "m", {"weight": 12.0})
    assert bundle.value("fusion.weight", parse_settings(LEAST)) == 12
    assert bundle.value("fusion.weight", parse_settings(LEAST | {"model": "other"})) is None
    assert bundle.value("fusion.weight", parse_settings(LEAST | {"fusion": {"method": "rrf"}})) is None
    assert bundle.value("migration.field", parse_settings(LEAST)) is None


def test_a_section_is_merged_key_by_key() -> None:
    merged = apply_defaults(DEFAULTS, LEAST | {"fusion": {"rank_constant": 9}})
    assert merged["fusion"] == {"rank_constant": 9, "weight": 3}
    assert apply_defaults(DEFAULTS, LEAST | {"fusion": {"weight": 9}})["fusion"] == {"weight": 9}


@given(st.dictionaries(st.sampled_from(["window_size", "deadline_ms"]), st.integers(1, 100)))
def test_what_the_mapping_says_wins(said: dict[str, int]) -> None:
    settings = parse_settings(apply_defaults(DEFAULTS, LEAST | said))
    assert settings.window_size == said.get("window_size", 40)
    assert settings.deadline_ms == said.get("deadline_ms", 20)


@pytest.mark.parametrize("value", [None, [], 3, "x"])
def test_a_mapping_that_is_no_object_stays_wrong(value: object) -> None:
    with pytest.raises(SettingsError, match="expected a JSON object"):
        parse_settings(apply_defaults(DEFAULTS, value))


@pytest.mark.parametrize(("value", "words"), [
    ({"window_sise": 3}, r"defaults\.json\.window_sise: .*did you mean `window_size`.*Correct the file"),
    ({"window_size": 0}, r"defaults\.json\.window_size: expected a whole number >= 1, found 0"),
    ([], r"defaults\.json: expected a JSON object of settings, found a list"),
])  # fmt: skip
def test_wrong_defaults_name_the_file(value: object, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        check_server_defaults(value, "defaults.json")


@pytest.mark.parametrize("key", sorted(OF_AN_INDEX))
def test_what_belongs_to_an_index_is_no_servers_default(key: str) -> None:
    with pytest.raises(SettingsError, match=f"found `{key}`.*mapping of each index"):
        check_server_defaults({key: {}}, "defaults.json")
    assert key in RerankSettings.__struct_fields__


def resolved(*records: IndexRecord) -> RerankSettings | Skip:
    return resolve_records({str(place): record for place, record in enumerate(records)}, {}).settings


def test_settings_that_are_gone_while_the_field_is_mapped_are_wrong_settings() -> None:
    gone = IndexRecord(is_overwritten=True)
    assert resolved(gone) == Skip("settings")
    assert resolved(gone, IndexRecord(rerank=LEAST)) == Skip("settings")
    assert "written whole without them" in str(find_problem(gone, {}))
    assert find_problem(IndexRecord(), {}) is None
    assert resolved(IndexRecord()) == Skip("not_enabled")


def test_a_vector_whose_settings_are_gone_is_still_hidden() -> None:
    assert resolve_records({"i": IndexRecord(is_overwritten=True)}, {}).all_fields == ("rerank.vector",)


def test_the_newest_index_decides_where_they_agree() -> None:
    old = IndexRecord(rerank=LEAST | {"window_size": 10}, created_ms=1)
    new = IndexRecord(rerank=LEAST | {"window_size": 20}, created_ms=2)
    found = resolved(new, old)
    assert isinstance(found, RerankSettings)
    assert found.window_size == 20
    other = IndexRecord(rerank=LEAST | {"source_fields": ["u"]}, created_ms=3)
    assert resolved(new, other) == Skip("indices")


def test_a_default_weight_is_for_its_own_method() -> None:
    """12 is a weight of `log_linear`; `weighted` takes a share, and must not be broken by it."""
    defaults = {"fusion": {"weight": 12}}
    settings = parse_settings(apply_defaults(defaults, LEAST | {"fusion": {"method": "weighted"}}))
    assert (settings.fusion.method, settings.fusion.weight) == ("weighted", None)
    assert (
        parse_settings(apply_defaults(defaults, LEAST | {"fusion": {"rank_constant": 5}})).fusion.weight == 12
    )
