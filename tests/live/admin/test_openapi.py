"""The OpenAPI document is the code's, and no request that it allows, or nearly allows, is a fault of ours."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch
from schemathesis.checks import not_a_server_error

from plugin.admin.health import Readiness
from plugin.apis.openapi import PREFIX, build_openapi, document
from plugin.apis.tokens import BearerTokens
from plugin.app import create_app
from plugin.settings.cache import SettingsCache
from plugin.telemetry.metrics import Metrics
from plugin.upstream.client import Upstream
from plugin.writes.handler import ENRICH
from tests.support.api_client import NO_OPENSEARCH, model
from tests.support.http.raw_http import ask
from tests.support.paths import DOCS

KEPT = DOCS / "reference/openapi.json"
INDICES = ("fuzzed-a", "fuzzed-a,fuzzed-b", "fuzzed-*", "fuzzed-none", "fuzzed-a%2Cfuzzed-b", "fuzzed-é")
"""What changing requests are aimed at: the server is shared."""

EXAMPLES, EXAMPLES_WHOLE = 3, 200

OPERATIONS = [(method, path) for path, methods in build_openapi()["paths"].items() for method in methods]


def test_the_kept_document_is_the_codes() -> None:
    assert KEPT.read_bytes() == document(), f"write it: python -m plugin.apis.openapi > {KEPT}"


def test_it_names_every_endpoint_and_no_other() -> None:
    upstream = Upstream(NO_OPENSEARCH)
    app = create_app(
        upstream, model(), SettingsCache(upstream), BearerTokens(), Metrics(), Readiness(upstream)
    )
    routes = {
        (method.lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(OPERATIONS) == routes | {("post", ENRICH)}


@pytest.fixture(scope="module")
def described(proxy_url: str, client: OpenSearch) -> Iterator[Any]:
    """Yield the document as the running proxy serves it, with two indices to aim at."""
    for name in ("fuzzed-a", "fuzzed-b"):
        ask(proxy_url, "POST", f"{PREFIX}/enable/{name}", b'{"source_fields":["text"]}',
            {"Content-Type": "application/json"})  # fmt: skip
        client.index(index=name, id="1", body={"text": "wait a bit"}, refresh=True)
    yield schemathesis.openapi.from_url(f"{proxy_url}{PREFIX}/openapi.json")
    client.indices.delete(index="fuzzed-*")


@pytest.mark.live
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part))
def test_no_request_is_a_fault_of_ours(
    described: Any,  # noqa: ANN401  # schemathesis's schema
    method: str,
    path: str,
    is_long: bool,
) -> None:
    """Right and wrong requests: each is answered, never with 5xx."""
    operation = described[path][method.upper()]
    modes = schemathesis.GenerationMode
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))

    @settings(
        max_examples=EXAMPLES_WHOLE if is_long else EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases, st.sampled_from(INDICES))
    def never_fails(case: Any, index: str) -> None:  # noqa: ANN401  # schemathesis's case
        if method != "get" and "{index}" in path:
            case.path_parameters = {"index": index}
        case.call_and_validate(checks=[not_a_server_error], timeout=60)

    never_fails()
