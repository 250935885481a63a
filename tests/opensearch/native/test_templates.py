"""Templates: all placeholders are filled, and no query text breaks the JSON that ml-commons makes of them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.fields.stored_vectors import decode
from opensearch.native.install import NativeOptions, connector_steps, pipeline_steps, placeholder_values
from opensearch.native.templates import (
    CONNECTORS,
    INGEST_PIPELINES,
    SEARCH_PIPELINES,
    TEMPLATES,
    fill,
    find_placeholders,
    read_template,
)
from opensearch.settings.fusion import FusionSettings
from opensearch.settings.table import ChunkSettings, RerankSettings
from reranker.stored_vector import HEADER
from tests.support.api_client import HOSTILE_TEXTS, ApiClient, bundle
from tests.support.paths import TESTS

SETTINGS = RerankSettings(
    bundle().name, ("title", "body.text"), window_size=70,
    fusion=FusionSettings(weight=2.5), chunk=ChunkSettings(64, 8, 2), languages="any",
)  # fmt: skip
VALUES = placeholder_values("articles", SETTINGS, NativeOptions("http://127.0.0.1:9100/", "the-token", 2, 20))
IDS = {name: f"id-of-{name}" for name in CONNECTORS}
ACTIONS = {name: step.body["actions"][0] for name, step in connector_steps(VALUES).items()}
PATHS = {"rerank": "/v1/rerank", "embeddings": "/v1/embeddings", "rescore": "/rescore"}


def body_of_a_call(name: str, **parameters: str) -> str:
    """Fill a connector's body as ml-commons does: texts JSON-escaped, one pass."""
    known = {**connector_steps(VALUES)[name].body["parameters"], **parameters}
    found = re.sub(r"\$\{parameters\.(\w+)\}", lambda each: known[each[1]], ACTIONS[name]["request_body"])
    assert "${" not in re.sub(r"\$\{(parameters|credential)\.", "", found) or "$" in "".join(
        parameters.values()
    )
    return found


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def test_every_template_is_used_and_no_other() -> None:
    names = [f"connector-{each}" for each in CONNECTORS] + [f"pipeline-{each}" for each in SEARCH_PIPELINES]
    names += [f"ingest-{each}" for each in INGEST_PIPELINES]
    assert sorted(names) == sorted(
        file.stem
        for file in TEMPLATES.glob("*.json")
        if file.stem.startswith(("connector", "pipeline", "ingest-embed"))
    )


def test_nothing_is_left_to_fill() -> None:
    steps = [*connector_steps(VALUES).values(), *pipeline_steps(VALUES, IDS)]
    assert all(find_placeholders(step.body) == set() for step in steps)
    assert [step.path for step in steps[3:]] == [
        "/_search/pipeline/twinrank-articles-rerank", "/_search/pipeline/twinrank-articles-rescore",
        "/_ingest/pipeline/twinrank-articles-embed",
    ]  # fmt: skip


@pytest.mark.parametrize("name", CONNECTORS)
def test_timeouts_are_whole_seconds_and_the_token_stands_in_the_credential_alone(name: str) -> None:
    body = connector_steps(VALUES)[name].body
    assert body["client_config"]["read_timeout"] == (20 if name == "embeddings" else 2)
    assert body["credential"] == {"key": "the-token"}
    assert json.dumps(body).count("the-token") == 1, "parameters can be read by a query text"


def test_every_processor_that_calls_us_may_fail() -> None:
    for step in pipeline_steps(VALUES, IDS):
        for kind in ("request_processors", "response_processors", "processors"):
            for processor in step.body.get(kind, []):
                for name, options in processor.items():
                    assert options.get("ignore_failure") or name in ("script", "remove")


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=lambda text: ascii(text)[:20])
@pytest.mark.parametrize("name", CONNECTORS)
def test_a_filled_call_is_json_that_the_endpoint_answers(name: str, text: str) -> None:
    parameters = {"query": escaped(text), "input": escaped(text), "documents": json.dumps([text, ""])}
    body = body_of_a_call(name, **parameters)
    sent = json.loads(body)
    assert sent.get("query", sent.get("input")) == text
    answer = ApiClient().post(PATHS[name], body.encode(), Authorization="Bearer x")
    expected = 422 if name == "rescore" and not text.strip() else 200
    assert answer.status_code == expected, answer.data


@given(st.text())
def test_any_text_gives_valid_json(text: str) -> None:
    parameters = {"query": escaped(text), "input": escaped(text), "documents": json.dumps([text])}
    for name in CONNECTORS:
        assert json.loads(body_of_a_call(name, **parameters))["model"] == bundle().name


def test_an_indexs_settings_reach_the_endpoints() -> None:
    rescore = json.loads(body_of_a_call("rescore", input="a"))
    assert rescore == {
        "model": bundle().name, "input": "a", "field": "rerank.vector", "window_size": 70, "weight": 2.5,
        "languages": "any",
    }  # fmt: skip
    stored = json.loads(body_of_a_call("embeddings", input="a"))
    assert stored["chunk"] == {"max_tokens": 64, "overlap": 8, "max_chunks": 2}
    ingest: Any = pipeline_steps(VALUES, IDS)[2].body["processors"]
    assert ingest[0]["script"]["params"] == {
        "field": "rerank.vector",
        "source_fields": ["title", "body.text"],
    }
    assert ingest[1]["ml_inference"]["output_map"] == [{"rerank.vector": "data[0].embedding"}]


def test_without_a_weight_the_bundles_holds() -> None:
    values = placeholder_values("articles", RerankSettings("m", ("t",)), NativeOptions("http://a"))
    body = connector_steps(values)["rescore"].body
    assert body["parameters"]["weight"] == "null"


@pytest.mark.parametrize(("value", "expected"), [
    ("${A}", [1]), ("x ${A} y", "x [1] y"), ({"${B}.c": ["${A}", 2, None]}, {"b.c": [[1], 2, None]}),
    ("${parameters.x}", "${parameters.x}"), ("${credential.key}", "${credential.key}"),
])  # fmt: skip
def test_filling(value: Any, expected: Any) -> None:  # noqa: ANN401
    assert fill(value, {"A": [1], "B": "b"}) == expected


def test_a_placeholder_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="NAME"):
        fill(read_template("connector-rerank"), {"TOKEN": "x"})


GOLDEN = TESTS / "native" / "golden"


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_what_ml_commons_sent_is_answered_as_it_was(file: Path) -> None:
    """Requests as ml-commons 2.19.1 sent them, and the answers that it understood."""
    golden = json.loads(file.read_text())
    answer = ApiClient().answer(golden["path"], golden["request"].encode())
    assert comparable(answer) == comparable(golden["answer"])


def comparable(answer: Any) -> Any:  # noqa: ANN401
    """Return an answer without what differs between processors, which round otherwise."""
    if isinstance(answer, dict):
        varying = {"id", "query", "scale"} if "tag" in answer or "results" in answer else set()
        return {key: comparable(value) for key, value in answer.items() if key not in varying}
    if isinstance(answer, list):
        return [comparable(each) for each in answer]
    if isinstance(answer, float):
        return pytest.approx(answer, rel=1e-2)
    packed = decode(answer) if isinstance(answer, str) and answer.startswith("AQ") else None
    return answer if packed is None else packed[: HEADER.size]
