"""The OpenAPI document of the endpoints that are not OpenSearch's (docs/reference/openapi.json).

The shapes of requests and answers are the structs that read and write them, so the document is the code's.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec

from opensearch.settings.experiment import ExperimentSettings
from opensearch.settings.json_schema import parse_number
from opensearch.settings.table import RerankSettings
from plugin.apis.schemas import (
    CohereRerankAnswer,
    CohereRerankRequest,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    RescoreAnswer,
    RescoreRequest,
    TeiRerankRequest,
    TeiResult,
)

PREFIX = "/_plugins/_rerank"

_SHAPES = (
    CohereRerankRequest,
    CohereRerankAnswer,
    TeiRerankRequest,
    EmbeddingsRequest,
    EmbeddingsAnswer,
    RescoreRequest,
    RescoreAnswer,
    TeiResult,
    RerankSettings,
)
_CHANGE = "RerankSettingsChange"
_ANY: Mapping[str, Any] = {"type": "object"}
_INDEX = {
    "name": "index",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "An index, alias or pattern.",
}
_TEXT = {"name": "text", "in": "query", "schema": {"type": "string"}, "description": "The query text."}
_OF_INDEX = {"name": "index", "in": "query", "schema": {"type": "string"}, "description": "Index to search."}
_DRY_RUN = {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}, "description": "Change nothing."}

_EXPERIMENT = {
    "name": "name",
    "in": "query",
    "schema": {"type": "string"},
    "description": "One that stopped.",
}
_RUN = {"name": "run", "in": "query", "schema": {"type": "string"}, "description": "Not the latest run."}
_MAX_CLICKS = {
    "name": "max_clicks",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1},
    "description": "Clicks of one unit that count.",
}


@dataclass(frozen=True)
class ApiOperation:
    """One method of one path: its summary, body, parameters, answer and error statuses."""

    method: str
    path: str
    summary: str
    body: Mapping[str, Any] | None = None
    needs_body: bool = False
    answer: Mapping[str, Any] | None = None
    answer_type: str = "application/json"
    parameters: tuple[Mapping[str, Any], ...] = ()
    errors: tuple[int, ...] = (401, 403)

    def describe(self) -> dict[str, Any]:
        """Return OpenAPI's operation object."""
        content = {self.answer_type: {"schema": dict(self.answer or _ANY)}}
        answers: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
        for status in self.errors:
            answers[str(status)] = {"description": _STATUSES[status]}
        described: dict[str, Any] = {"summary": self.summary, "responses": answers}
        in_path = (_INDEX,) if "{index}" in self.path else ()
        if in_path or self.parameters:
            described["parameters"] = [*in_path, *self.parameters]
        if self.body is not None:
            body = {"application/json": {"schema": dict(self.body)}}
            described["requestBody"] = {"required": self.needs_body, "content": body}
        return described


_STATUSES = {
    302: "See the address in `Location`.",
    400: "The request is wrong. The body says where, what was expected, and what was found.",
    401: "Credentials or a token are missing or wrong.",
    403: "The caller lacks the right.",
    404: "There is no such index.",
    413: "The body is too long.",
    415: "The format is not supported.",
    422: "The JSON has another shape.",
    502: "OpenSearch cannot be reached.",
    503: "Not available now. The body says why.",
    504: "OpenSearch does not answer in time.",
}
_OPENSEARCH = (400, 401, 403, 404, 502, 503, 504)
_API = (400, 401, 413, 415, 422, 503)


def build_openapi() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in _operations():
        paths.setdefault(operation.path, {})[operation.method] = operation.describe()
    _, components = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")
    settings = components[RerankSettings.__name__]
    components[_CHANGE] = {name: value for name, value in settings.items() if name != "required"}
    tokens = {"type": "http", "scheme": "bearer"}
    basic = {"type": "http", "scheme": "basic"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Twinrank",
            "version": version("twinrank"),
            "description": "Twinrank's own endpoints, beside OpenSearch's API, which it passes on.",
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": tokens, "opensearch": basic}},
    }


def _operations() -> tuple[ApiOperation, ...]:
    return (*_health(), *_admin(), *_apis())


def _health() -> tuple[ApiOperation, ...]:
    text, none = {"type": "string"}, ()
    return (
        ApiOperation("get", f"{PREFIX}/health", "The bundle, and whether OpenSearch answers.", errors=(503,)),
        ApiOperation("get", f"{PREFIX}/health/live", "Whether the process answers.", errors=none),
        ApiOperation("get", f"{PREFIX}/health/ready", "Whether searches can be reranked.", errors=(503,)),
        ApiOperation(
            "get", f"{PREFIX}/metrics", "Counters for Prometheus.", answer=text, answer_type="text/plain"
        ),
        ApiOperation("get", f"{PREFIX}/status", "The state of the answering worker."),
        ApiOperation("get", f"{PREFIX}/openapi.json", "This document.", errors=none),
    )


def _admin() -> tuple[ApiOperation, ...]:
    some, search = {"$ref": f"#/components/schemas/{_CHANGE}"}, {"type": "object", "description": "A search."}
    return (
        ApiOperation(
            "get", f"{PREFIX}/settings/{{index}}", "Every setting and its source.", errors=_OPENSEARCH
        ),
        ApiOperation(
            "put",
            f"{PREFIX}/settings/{{index}}",
            "Change settings; others stay.",
            some,
            parameters=(_DRY_RUN,),
            errors=_OPENSEARCH,
        ),
        ApiOperation(
            "post",
            f"{PREFIX}/enable/{{index}}",
            "Enable reranking.",
            some,
            parameters=(_DRY_RUN,),
            errors=_OPENSEARCH,
        ),
        ApiOperation(
            "post",
            f"{PREFIX}/disable/{{index}}",
            "Disable reranking.",
            parameters=(_DRY_RUN,),
            errors=_OPENSEARCH,
        ),
        ApiOperation("get", f"{PREFIX}/status/{{index}}", "An index's coverage.", errors=_OPENSEARCH),
        ApiOperation(
            "get",
            f"{PREFIX}/explain/{{index}}",
            "One search, step by step.",
            parameters=(_TEXT,),
            errors=_OPENSEARCH,
        ),
        ApiOperation(
            "post", f"{PREFIX}/explain/{{index}}", "One search, step by step.", search, errors=_OPENSEARCH
        ),
        *_lab(),
        *_experiments(),
        ApiOperation(
            "post",
            f"{PREFIX}/enrich",
            "Documents in, documents with vectors out.",
            {"anyOf": [_ANY, {"type": "array", "items": _ANY}]},
            needs_body=True,
            answer={},
            parameters=({**_OF_INDEX, "required": True},),
            errors=(*_OPENSEARCH, 413, 415),
        ),
    )


def _lab() -> tuple[ApiOperation, ...]:
    page, text = {"type": "string"}, {"type": "string"}
    question = {
        "type": "object",
        "properties": {"text": text, "body": text, "title_field": text, "rerank": _ANY},
        "additionalProperties": False,
        "description": "A text, or the text of a search body; `rerank` is like `ext.rerank`.",
    }
    file = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return (
        ApiOperation(
            "get", f"{PREFIX}/", "The lab, a page.", answer=page, answer_type="text/html", errors=()
        ),
        ApiOperation(
            "get",
            f"{PREFIX}/compare",
            "Redirect to the lab from its former address.",
            answer=page,
            answer_type="text/html",
            parameters=(_OF_INDEX, _TEXT),
            errors=(302,),
        ),
        ApiOperation(
            "get",
            f"{PREFIX}/lab/{{name}}",
            "A file of the lab's page.",
            answer=page,
            answer_type="text/javascript",
            parameters=(file,),
            errors=(404,),
        ),
        ApiOperation("get", f"{PREFIX}/lab/indices", "The indices with settings.", errors=_OPENSEARCH),
        ApiOperation(
            "get", f"{PREFIX}/lab/indices/{{index}}", "What the lab shows of an index.", errors=_OPENSEARCH
        ),
        ApiOperation(
            "post",
            f"{PREFIX}/lab/search/{{index}}",
            "One search in both orders.",
            question,
            needs_body=True,
            errors=_OPENSEARCH,
        ),
    )


def _experiments() -> tuple[ApiOperation, ...]:
    path = f"{PREFIX}/experiment/{{index}}"
    return (
        ApiOperation("get", path, "An index's experiment.", errors=_OPENSEARCH),
        ApiOperation(
            "put",
            path,
            "Start an experiment.",
            _reference(ExperimentSettings),
            needs_body=True,
            parameters=(_DRY_RUN,),
            errors=_OPENSEARCH,
        ),
        ApiOperation("delete", path, "Stop the experiment.", parameters=(_DRY_RUN,), errors=_OPENSEARCH),
        ApiOperation(
            "get",
            f"{path}/report",
            "Which arm of an experiment wins.",
            parameters=(_EXPERIMENT, _RUN, _MAX_CLICKS),
            errors=_OPENSEARCH,
        ),
    )


def _apis() -> tuple[ApiOperation, ...]:
    cohere, results = _reference(CohereRerankRequest), {"type": "array", "items": _reference(TeiResult)}
    return tuple(
        ApiOperation("post", path, summary, body, needs_body=True, answer=answer, errors=_API)
        for path, summary, body, answer in (
            ("/v1/rerank", "Cohere's rerank.", cohere, _reference(CohereRerankAnswer)),
            ("/v2/rerank", "Cohere's rerank, v2.", cohere, _reference(CohereRerankAnswer)),
            ("/rerank", "The rerank of text-embeddings-inference.", _reference(TeiRerankRequest), results),
            (
                "/v1/embeddings",
                "OpenAI's embeddings.",
                _reference(EmbeddingsRequest),
                _reference(EmbeddingsAnswer),
            ),
            (
                "/rescore",
                "The `rescore` clause for a query text.",
                _reference(RescoreRequest),
                _reference(RescoreAnswer),
            ),
        )
    )


def _reference(shape: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def document() -> bytes:
    """Return the document as bytes, as it is served and kept."""
    plain = json.loads(json.dumps(build_openapi()), parse_float=parse_number)
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(document())
