"""Spans: sent where a collector is named, one trace from the client to OpenSearch, nothing without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from plugin.harness.proxy_process import free_port, running_proxy
from plugin.telemetry.tracing import TracingError, check_tracing, wants_spans
from tests.support.http.header_echo import header_echo
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import ToyIndex
from tests.support.otlp_receiver import otlp_receiver
from tests.support.paths import TINY_BUNDLE

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENTS = f"00-{TRACE}-b7ad6b7169203331-01"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def attributes(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def served_with(status: int, spans: list[Span]) -> list[Span]:
    """Return the spans of searches that the proxy answered so, not of its own `GET /` at the start."""
    return [
        span for span in spans
        if span.kind == Span.SPAN_KIND_SERVER
        and attributes(span)["http.response.status_code"] == status
        and str(attributes(span)["url.path"]).endswith("_search")
    ]  # fmt: skip


@pytest.mark.parametrize(("environment", "wants"), [
    ({}, False),
    ({ENDPOINT: ""}, False),
    ({ENDPOINT: "http://c:4318"}, True),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
    ({ENDPOINT: "http://c:4318", "OTEL_SDK_DISABLED": "True"}, False),
    ({ENDPOINT: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
])  # fmt: skip
def test_spans_are_made_where_a_collector_is_named(environment: dict[str, str], wants: bool) -> None:
    assert wants_spans(environment) == wants


def test_another_protocol_is_refused() -> None:
    with pytest.raises(TracingError, match=r"expected http/protobuf in .* found 'grpc'"):
        check_tracing({ENDPOINT: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    check_tracing({ENDPOINT: "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
    check_tracing({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.exporter'] = None\n"
        "from plugin.telemetry.tracing import check_tracing\n"
        f"check_tracing({{{ENDPOINT!r}: 'http://c:4318'}})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT needs the package opentelemetry" in ended.stderr
    assert "-m pip install --constraint constraints.txt --editable '.[otel]'" in ended.stderr


def test_nothing_is_imported_without_a_collector() -> None:
    program = (
        "import sys, plugin.commands.serve, plugin.server.gunicorn_app\n"
        "from plugin.telemetry.tracing import create_tracing\n"
        "create_tracing()\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], env={}, check=False).returncode == 0


@pytest.mark.live
def test_one_trace_from_the_client_to_opensearch(
    opensearch_url: str, toy_index: ToyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"query": toy_index.query}).encode()
    headers = {"Content-Type": "application/json", "traceparent": CLIENTS, "tracestate": "vendor=1"}
    with otlp_receiver() as collector, header_echo(opensearch_url) as behind:
        monkeypatch.setenv(ENDPOINT, collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with running_proxy(behind.url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
            answer = ask(proxy.url, "POST", f"/{toy_index.name}/_search", body, headers)
            assert answer.rerank_status.startswith("applied")
            ask(proxy.url, "GET", "/nowhere/_search")
            spans = collector.spans(lambda found: bool(served_with(200, found) and served_with(404, found)))
        assert collector.services == {"twinrank"}
    (found,), (missing,) = served_with(200, spans), served_with(404, spans)
    assert (found.name, found.trace_id.hex()) == ("POST search", TRACE)
    assert found.parent_span_id.hex() == "b7ad6b7169203331"
    assert found.trace_state == "vendor=1"
    assert attributes(found)["twinrank.outcome"] == "applied"
    assert "twinrank.query_text" not in attributes(found)
    children = [span for span in spans if span.parent_span_id == found.span_id]
    assert {"plan", "opensearch", "crossing", "page"} <= {span.name for span in children}
    for span in children:
        assert found.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= found.end_time_unix_nano
    assert missing.trace_id != found.trace_id
    sent = f"00-{TRACE}-{found.span_id.hex()}-01"
    assert sent in behind.headers("traceparent"), "OpenSearch's work hangs below the span"
    log = (tmp_path / "proxy.log").read_text()
    logged, _ = json.JSONDecoder().raw_decode(log, log.index('{"event"'))  # other lines may follow
    assert logged["traceparent"] == sent


@pytest.mark.live
def test_without_a_collector_the_clients_own_goes_on(
    opensearch_url: str, toy_index: ToyIndex, tmp_path: Path
) -> None:
    """And a collector that nobody answers at costs no search."""
    given = {"Content-Type": "application/json", "traceparent": CLIENTS, "X-Opaque-Id": "checkout-17"}
    body = json.dumps({"query": toy_index.query}).encode()
    with header_echo(opensearch_url) as behind:
        arguments = ["--workers", "1", "--log-queries", "--slow-ms", "0", "--log-format", "json"]
        with running_proxy(behind.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
            ask(proxy.url, "POST", f"/{toy_index.name}/_search", body, given)
        assert CLIENTS in behind.headers("traceparent")
        assert "checkout-17" in behind.headers("x-opaque-id")
    lines = [json.loads(line) for line in (tmp_path / "proxy.log").read_text().splitlines()]
    [told] = [line for line in lines if line["event"] == "slow_search"]
    assert (told["request_id"], told["traceparent"]) == ("checkout-17", CLIENTS)
    assert told["query_text"] == [toy_index.query_text]
    assert {line["logger"] for line in lines if line["event"] == "log"} >= {"gunicorn.error"}


@pytest.mark.live
def test_a_collector_that_is_away_costs_no_search(
    opensearch_url: str, toy_index: ToyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    body = json.dumps({"query": toy_index.query}).encode()
    with running_proxy(opensearch_url, tmp_path, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        for _ in range(5):
            answer = ask(
                proxy.url, "POST", f"/{toy_index.name}/_search", body, {"Content-Type": "application/json"}
            )
            assert answer.rerank_status.startswith("applied")
