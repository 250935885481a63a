"""`_meta.rerank`: what is accepted, what is refused and how the refusal reads."""

from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.settings.fusion import FusionSettings
from opensearch.settings.table import ChunkSettings, RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import parse_settings
from reranker.fusion import MAX_WEIGHT, METHODS
from reranker.text import Chunking

LEAST = {"model": "bge", "source_fields": ["title"]}


def refusal(**changes: Any) -> str:  # noqa: ANN401  # any JSON value
    with pytest.raises(SettingsError) as caught:
        parse_settings(LEAST | changes)
    return str(caught.value)


def test_the_least_settings_take_every_default() -> None:
    assert parse_settings(LEAST) == RerankSettings(model="bge", source_fields=("title",))


def test_every_setting_can_be_given() -> None:
    settings = parse_settings(
        {
            "model": "bge",
            "source_fields": ["title", "body.text"],
            "enabled": False,
            "field": "vec",
            "window_size": 50,
            "min_coverage": 0.5,
            "fusion": {"method": "none", "weight": 2},
            "chunk": {"max_tokens": 128, "overlap": 16, "max_chunks": 2},
            "deadline_ms": 20,
            "on_failure": "error",
        }
    )
    assert settings == RerankSettings(
        model="bge",
        source_fields=("title", "body.text"),
        enabled=False,
        field="vec",
        window_size=50,
        min_coverage=0.5,
        fusion=FusionSettings(method="none", weight=2.0),
        chunk=ChunkSettings(max_tokens=128, overlap=16, max_chunks=2),
        deadline_ms=20,
        on_failure="error",
    )


LIMITS = [
    ("window_size", 1, 10_000),
    ("deadline_ms", 1, 60_000),
    ("fusion.weight", 0, 40),
    ("min_coverage", 0, 1),
    ("chunk.max_tokens", 16, 512),
    ("chunk.overlap", 0, 128),
    ("chunk.max_chunks", 1, 64),
]


def nested(path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON value
    group, _, key = path.rpartition(".")
    return {group: {key: value}} if group else {key: value}


@pytest.mark.parametrize(("path", "low", "high"), LIMITS)
def test_a_number_is_accepted_up_to_its_limits_and_refused_beyond(path: str, low: int, high: int) -> None:
    for value in (low, high):
        parse_settings(LEAST | nested(path, value))
    for value in (low - 1, high + 1):
        message = refusal(**nested(path, value))
        assert message.startswith(f"_meta.rerank.{path}: expected ")
        assert f"found {value}" in message


@pytest.mark.parametrize(
    ("changes", "path", "expected", "found"),
    [
        ({"model": 1}, "model", "a text", "1"),
        ({"model": ""}, "model", "a text of length >= 1", '""'),
        ({"source_fields": "title"}, "source_fields", "a list", '"title"'),
        ({"source_fields": []}, "source_fields", "a list of length >= 1", "[]"),
        ({"source_fields": ["title", 3]}, "source_fields[1]", "a text", "3"),
        ({"source_fields": ["title", ""]}, "source_fields[1]", "a text of length >= 1", '""'),
        ({"enabled": "true"}, "enabled", "true or false", '"true"'),
        ({"field": None}, "field", "a text", "null"),
        ({"window_size": "100"}, "window_size", "a whole number", '"100"'),
        ({"window_size": True}, "window_size", "a whole number", "true"),
        ({"window_size": 99.5}, "window_size", "a whole number", "99.5"),
        ({"deadline_ms": None}, "deadline_ms", "a whole number", "null"),
        ({"fusion": None}, "fusion", "a JSON object", "null"),
        ({"fusion": {"weight": "10"}}, "fusion.weight", "a number or null", '"10"'),
        (
            {"fusion": {"method": "magic"}},
            "fusion.method",
            "one of log_linear, weighted, rrf, none",
            '"magic"',
        ),
        ({"chunk": [1]}, "chunk", "a JSON object", "[1]"),
        ({"chunk": {"overlap": "1"}}, "chunk.overlap", "a whole number", '"1"'),
        ({"on_failure": "explode"}, "on_failure", "one of first_stage, error", '"explode"'),
        ({"on_failure": 503}, "on_failure", "one of first_stage, error", "503"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected_and_found(
    changes: dict[str, Any], path: str, expected: str, found: str
) -> None:
    message = refusal(**changes)
    assert message.startswith(f"_meta.rerank.{path}: expected {expected}"), message
    assert f", found {found}. " in message


@pytest.mark.parametrize("value", [None, [], "x", 1, True])
def test_settings_that_are_no_object_are_refused(value: object) -> None:
    with pytest.raises(SettingsError, match=r"^_meta\.rerank: expected a JSON object, found "):
        parse_settings(value)


@pytest.mark.parametrize("key", ["model", "source_fields"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(SettingsError, match=rf"^_meta\.rerank\.{key}: expected this setting, found none\. "):
        parse_settings({k: v for k, v in LEAST.items() if k != key})


@pytest.mark.parametrize(
    ("changes", "path", "meant"),
    [
        ({"windowsize": 10}, "windowsize", "window_size"),
        ({"sourcefields": []}, "sourcefields", "source_fields"),
        ({"fusion": {"wieght": 10}}, "fusion.wieght", "weight"),
        ({"chunk": {"max_chunk": 10}}, "chunk.max_chunk", "max_chunks"),
    ],
)
def test_an_unknown_key_gets_the_nearest_name(changes: dict[str, Any], path: str, meant: str) -> None:
    message = refusal(**changes)
    assert message.startswith(f"_meta.rerank.{path}: expected one of ")
    assert f"(did you mean `{meant}`?)" in message


def test_an_unknown_key_that_resembles_nothing_gets_all_names() -> None:
    message = refusal(colour="blue")
    assert "did you mean" not in message
    for name in RerankSettings.__struct_fields__:
        assert name in message


def test_a_key_with_marks_in_it_is_still_named() -> None:
    assert "_meta.rerank.a` - at `$.b: expected one of " in refusal(**{"a` - at `$.b": 1})


def test_every_refusal_says_what_to_do() -> None:
    for message in (refusal(colour=1), refusal(model=1), refusal(window_size=0)):
        assert "PUT _mapping" in message


def settings_of() -> st.SearchStrategy[RerankSettings]:
    name = st.text(min_size=1, max_size=8)
    return st.builds(
        RerankSettings,
        model=name,
        source_fields=st.lists(name, min_size=1, max_size=3).map(tuple),
        enabled=st.booleans(),
        field=st.just("rerank.vector") | name,
        window_size=st.just(100) | st.integers(1, 10_000),
        fusion=st.builds(
            FusionSettings,
            method=st.sampled_from(METHODS),
            weight=st.none() | st.floats(0, 1),
            rank_constant=st.just(60) | st.integers(1, 10_000),
            feedback=st.none() | st.floats(0, 2),
            smoothing=st.none() | st.floats(0, 1),
        ),
        execution=st.sampled_from(["sidecar", "cluster"]),
        score=st.sampled_from(["first_stage", "fused", "probability"]),
        pipelines_allowed=st.lists(name, max_size=2).map(tuple),
        chunk=st.builds(
            ChunkSettings,
            max_tokens=st.just(256) | st.integers(16, 512),
            overlap=st.integers(0, 128),
            max_chunks=st.integers(1, 64),
        ),
        deadline_ms=st.integers(1, 60_000),
        on_failure=st.sampled_from(["first_stage", "error"]),
    )


def test_a_share_is_at_most_1() -> None:
    assert "_meta.rerank.fusion.weight: expected a share of 0 to 1" in refusal(
        fusion={"method": "weighted", "weight": 1.5}
    )


@given(settings_of())
def test_settings_survive_the_mapping(settings: RerankSettings) -> None:
    meta = encode_settings(settings)
    assert parse_settings(meta) == settings
    assert encode_settings(parse_settings(meta)) == meta


def test_only_what_differs_from_the_defaults_is_written() -> None:
    given_in_full = LEAST | {
        "field": "rerank.vector",
        "window_size": 100,
        "deadline_ms": 50,
        "fusion": {"method": "log_linear"},
        "chunk": {"max_tokens": 256, "overlap": 8},
    }
    assert encode_settings(parse_settings(given_in_full)) == LEAST | {"chunk": {"overlap": 8}}


def test_the_limits_are_those_of_the_reranker() -> None:
    assert set(get_args(get_type_hints(FusionSettings)["method"])) == {*METHODS, "combiner"}
    assert parse_settings(LEAST | {"fusion": {"weight": MAX_WEIGHT}}).fusion.weight == MAX_WEIGHT
    chunk, chunking = ChunkSettings(), Chunking()
    assert (chunk.max_tokens, chunk.overlap, chunk.max_chunks) == (
        chunking.max_tokens,
        chunking.overlap,
        chunking.max_chunks,
    )
