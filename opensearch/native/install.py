"""Make, replace and remove the connectors, remote models and pipelines of one index.

Everything of an index has the name `twinrank-INDEX`. A second installation first makes the new parts, then
switches the pipelines to them, then removes the old ones. So it leaves no gap and nothing behind.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from opensearch.client import OpenSearchClient
from opensearch.errors import (
    BusyError,
    IndexMissingError,
    MissingError,
    NativeError,
    RefusedError,
    RequestError,
)
from opensearch.native.templates import (
    CONNECTORS,
    INGEST_PIPELINES,
    SEARCH_PIPELINES,
    fill,
    read_template,
)
from opensearch.settings.table import RerankSettings

_ML = "/_plugins/_ml"


@dataclass(frozen=True)
class NativeOptions:
    """The values for the templates besides an index's settings.

    OpenSearch reaches the proxy's endpoints at `sidecar_url`, with `token`. The timeouts say how long a
    search, and the indexing of a document, may wait for them; ml-commons takes whole seconds.
    """

    sidecar_url: str
    token: str = "none"  # noqa: S105  # ml-commons wants a credential, used or not
    read_timeout_s: int = 3
    ingest_timeout_s: int = 30


@dataclass(frozen=True)
class Step:
    """One request of an installation, as `--dry-run` shows it and as it is sent."""

    method: str
    path: str
    body: Any = None


def native_name(index: str) -> str:
    """Return the name of everything that belongs to an index."""
    return f"twinrank-{index}"


def placeholder_values(index: str, settings: RerankSettings, options: NativeOptions) -> dict[str, Any]:
    """Return the values of all placeholders but the models' ids."""
    fusion = settings.fusion
    weight = fusion.weight if fusion.method == "log_linear" else None  # another method's has another meaning
    return {
        "NAME": native_name(index),
        "SIDECAR_URL": options.sidecar_url.rstrip("/"),
        "TOKEN": options.token,
        "MODEL_NAME": settings.model,
        "FIELD": settings.field,
        "SOURCE_FIELDS": list(settings.source_fields),
        "WINDOW_SIZE": str(settings.window_size),
        "LANGUAGES": settings.languages,
        "WEIGHT": "null" if weight is None else str(weight),
        "READ_TIMEOUT_S": options.read_timeout_s,
        "INGEST_TIMEOUT_S": options.ingest_timeout_s,
        "MAX_TOKENS": str(settings.chunk.max_tokens),
        "OVERLAP": str(settings.chunk.overlap),
        "MAX_CHUNKS": str(settings.chunk.max_chunks),
    }


def connector_steps(values: Mapping[str, Any]) -> dict[str, Step]:
    """Return for each connector the request that makes it."""
    return {
        name: Step("POST", f"{_ML}/connectors/_create", fill(read_template(f"connector-{name}"), values))
        for name in CONNECTORS
    }


def pipeline_steps(values: Mapping[str, Any], model_ids: Mapping[str, str]) -> list[Step]:
    """Return the requests that make or replace the pipelines, which call the models by their ids."""
    ids = {f"{name.upper()}_MODEL_ID": model_id for name, model_id in model_ids.items()}
    everything = {**values, **ids}
    found = [(f"/_search/pipeline/{values['NAME']}-{each}", f"pipeline-{each}") for each in SEARCH_PIPELINES]
    found += [(f"/_ingest/pipeline/{values['NAME']}-{each}", f"ingest-{each}") for each in INGEST_PIPELINES]
    return [Step("PUT", quote(path), fill(read_template(name), everything)) for path, name in found]


def install(
    client: OpenSearchClient, values: Mapping[str, Any], *, patience_s: float = 60.0
) -> Iterator[str]:
    """Make everything of one index, and yield a line about each thing that was made or removed.

    Raises:
        RequestError: OpenSearch cannot be asked, or refuses; the earlier installation stays then.
        NativeError: no ml-commons, a model cannot be deployed, or the proxy's endpoints do not answer it.
    """
    name = values["NAME"]
    old_models, old_connectors = _find_ids(client, "models", name), _find_ids(client, "connectors", name)
    model_ids: dict[str, str] = {}
    try:
        for kind, step in connector_steps(values).items():
            connector_id = _send_with_retries(client, step, patience_s)["connector_id"]
            yield f"connector {name}-{kind}: {connector_id}"
            model_ids[kind] = _deploy(client, f"{name}-{kind}", connector_id, patience_s)
            yield f"model {name}-{kind}: {model_ids[kind]}"
        _check_endpoints(client, model_ids["rescore"])
        yield "the rescore model was called: the endpoints answer"
    except (RequestError, NativeError):
        kept = frozenset({*old_models, *old_connectors})
        yield from _remove_all(client, name, keep=kept)
        raise
    for step in pipeline_steps(values, model_ids):
        client.request(step.method, step.path, step.body)
        yield f"pipeline {step.path.removeprefix('/_')}"
    for model_id in old_models:
        yield from _remove_model(client, model_id)
    for connector_id in old_connectors:
        yield from _remove(client, f"{_ML}/connectors/{connector_id}")


def uninstall(client: OpenSearchClient, index: str) -> Iterator[str]:
    """Remove everything of one index, and yield a line about each thing that was removed.

    Raises:
        RequestError: OpenSearch cannot be asked, or refuses.
        NativeError: no ml-commons.
    """
    name = native_name(index)
    for each in SEARCH_PIPELINES:
        yield from _remove(client, quote(f"/_search/pipeline/{name}-{each}"))
    for each in INGEST_PIPELINES:
        yield from _remove(client, quote(f"/_ingest/pipeline/{name}-{each}"))
    yield from _remove_all(client, name)


def _remove_all(client: OpenSearchClient, name: str, keep: frozenset[str] = frozenset()) -> Iterator[str]:
    for model_id in _find_ids(client, "models", name):
        if model_id not in keep:
            yield from _remove_model(client, model_id)
    for connector_id in _find_ids(client, "connectors", name):
        if connector_id not in keep:
            yield from _remove(client, f"{_ML}/connectors/{connector_id}")


def _remove_model(client: OpenSearchClient, model_id: str) -> Iterator[str]:
    client.request("POST", f"{_ML}/models/{model_id}/_undeploy")
    yield from _remove(client, f"{_ML}/models/{model_id}")


def _remove(client: OpenSearchClient, path: str) -> Iterator[str]:
    try:
        client.request("DELETE", path)
    except MissingError:  # another client was quicker
        return
    yield f"removed {path.removeprefix('/_')}"


def _find_ids(client: OpenSearchClient, kind: str, name: str) -> list[str]:
    """Return the ids of the models or connectors of that name."""
    names = [f"{name}-{each}" for each in CONNECTORS]
    body = {"size": 100, "query": {"terms": {"name.keyword": names}}, "_source": ["name"]}
    try:
        answer = client.request("POST", f"{_ML}/{kind}/_search", body)
    except (IndexMissingError, MissingError):  # there has never been one
        return []
    except RefusedError as error:
        if "no handler found" not in str(error):
            raise
        raise NativeError(
            "expected the plugins ml-commons and neural-search in OpenSearch, found nothing of ml-commons at"
            f" {client.url}. Install them, or put the proxy in the path: twinrank serve"
        ) from error
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def _deploy(client: OpenSearchClient, name: str, connector_id: str, patience_s: float) -> str:
    body = {"name": name, "function_name": "remote", "connector_id": connector_id}
    step = Step("POST", f"{_ML}/models/_register?deploy=true", body)
    model_id: str = _send_with_retries(client, step, patience_s)["model_id"]
    deadline_s = time.monotonic() + patience_s
    while True:
        state = client.request("GET", f"{_ML}/models/{model_id}").get("model_state")
        if state == "DEPLOYED":
            return model_id
        if state == "DEPLOY_FAILED" or time.monotonic() > deadline_s:
            raise NativeError(
                f"expected the model {name} to be deployed, found {state}. See OpenSearch's log"
            )
        time.sleep(0.2)


def _check_endpoints(client: OpenSearchClient, model_id: str) -> None:
    body = {"parameters": {"input": "how to wait a bit"}}
    try:
        client.request("POST", f"{_ML}/models/{model_id}/_predict", body)
    except RequestError as error:  # ml-commons passes on the endpoint's own status, such as 401
        raise NativeError(
            "expected the proxy's endpoints to answer OpenSearch; check --sidecar as OpenSearch's nodes"
            f" see it, and the token. Found: {error}"
        ) from error


def _send_with_retries(client: OpenSearchClient, step: Step, patience_s: float) -> Any:  # noqa: ANN401
    """Send a request, again while ml-commons makes its own indices: a new cluster answers 503 at first."""
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            return client.request(step.method, step.path, step.body)
        except BusyError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(1.0)
