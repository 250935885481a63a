"""Search pipelines by their definitions, as OpenSearch 2.19 and 3.x write them."""

from typing import Any

import msgspec
import pytest

from opensearch.settings.search_pipeline import SearchPipeline, pipeline_target, read_pipeline, read_pipelines

NORMALIZED: dict[str, Any] = {
    "normalization-processor": {
        "normalization": {"technique": "l2"},
        "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.3, 0.7]}},
    }
}
RANKED: dict[str, Any] = {
    "score-ranker-processor": {"combination": {"technique": "rrf", "rank_constant": 40}}
}


def phase(*processors: object, **more: object) -> dict[str, Any]:
    return {"phase_results_processors": list(processors), **more}


def normalized(technique: str, combination: str = "arithmetic_mean") -> dict[str, Any]:
    options = {"normalization": {"technique": technique}, "combination": {"technique": combination}}
    return phase({"normalization-processor": options})


@pytest.mark.parametrize(("definition", "technique"), [
    (phase(NORMALIZED), "l2"),
    (phase(NORMALIZED, description="hybrid", version=3, request_processors=[], response_processors=[]), "l2"),
    (normalized("min_max"), "min_max"),
    (normalized("l2", "harmonic_mean"), "l2"),
    (normalized("min_max", "geometric_mean"), "min_max"),
    (normalized("z_score"), "z_score"),
    (phase({"normalization-processor": {}}), "min_max"),
    (phase({"normalization-processor": {"tag": "t", "combination": {"parameters": {}}}}), "min_max"),
    (phase(RANKED), "rrf"),
    (phase({"score-ranker-processor": {}}), "rrf"),
])  # fmt: skip
def test_a_pipeline_that_only_combines_is_recognised(definition: dict[str, Any], technique: str) -> None:
    assert read_pipeline(definition) == SearchPipeline(technique, only_combines=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("more", [
    {"request_processors": [{"filter_query": {"query": {"match_all": {}}}}]},
    {"response_processors": [{"hybrid_score_explanation": {}}]},
    {"response_processors": [{"rerank": {"ml_opensearch": {"model_id": "m"}}}]},
    {"of_a_later_version": {"x": 1}},
])  # fmt: skip
def test_anything_else_is_more_than_combining(more: dict[str, Any]) -> None:
    assert read_pipeline(phase(NORMALIZED, **more)) == SearchPipeline("l2", only_combines=False)


@pytest.mark.parametrize("definition", [
    {}, {"description": "does nothing"}, phase(), phase(NORMALIZED, RANKED), phase({"another-processor": {}}),
    phase({"normalization-processor": {}, "another": {}}), phase({"normalization-processor": None}), phase(7),
    normalized("of_a_later_version"), normalized("min_max", "of_a_later_version"), normalized("rrf"),
    phase({"score-ranker-processor": {"combination": {"technique": "another"}}}),
    phase({"normalization-processor": {"normalization": "min_max"}}),
    {"phase_results_processors": {}}, [], None, "a-name", 7,
])  # fmt: skip
def test_what_is_not_known_is_not_admitted(definition: object) -> None:
    assert read_pipeline(definition) == SearchPipeline()


def test_all_pipelines_are_read_at_once() -> None:
    body = msgspec.json.encode({"a": phase(RANKED), "b": {"description": "nothing"}})
    assert read_pipelines(body) == {"a": SearchPipeline("rrf", only_combines=True), "b": SearchPipeline()}
    assert read_pipelines(b"{}") == {}
    with pytest.raises(msgspec.DecodeError):
        read_pipelines(b"[]")


def test_a_name_stays_one_part_of_the_path() -> None:
    assert pipeline_target() == "/_search/pipeline"
    assert pipeline_target("a/b?c") == "/_search/pipeline/a%2Fb%3Fc"
