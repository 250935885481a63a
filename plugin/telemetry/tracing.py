"""OpenTelemetry: one span a request and one for each of its stages, if the user has named a collector.

The library comes with the extra `otel` and is imported in a worker, only if the environment
names a collector; its own variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, ...) hold. OpenSearch gets
the span's `traceparent` in place of the client's. Without a collector the client's own goes on as it came.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from opensearch.endpoints import find_endpoint
from plugin.errors import CommandError
from plugin.http.messages import Request, Response
from plugin.http.request_context import RequestContext
from plugin.telemetry.outcome import AnyOutcome, outcome_of
from reranker.extras import missing_package

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

COLLECTOR_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL = "http/protobuf"
_UPSTREAM_STAGES = ("opensearch", "fetch")
_PROPAGATED = ("traceparent", "tracestate", "baggage")


class TracingError(CommandError):
    """Spans are wanted and cannot be sent: says why, and what to do."""


@dataclass
class Traced:
    """A request in flight, with the headers that are sent on, and its span, if it has one."""

    request: Request
    span: "Span | None" = None


class Tracing:
    """Makes no spans: no collector is named."""

    @contextmanager
    def trace(self, request: Request) -> Iterator[Traced]:
        """Trace what happens inside; `record_response` is to be called there."""
        yield Traced(request)

    def record_response(self, traced: Traced, response: Response) -> None:
        """Record what the request was answered."""

    def close(self) -> None:
        """Send what is left."""


class SpanTracing(Tracing):
    """Makes spans.

    Args:
        exporter: where they go, None for the collector that the environment names.
        query_text: whether a span tells the text that a search is reranked by.
    """

    def __init__(self, exporter: "SpanExporter | None" = None, *, query_text: bool = False) -> None:
        self._provider = _create_provider(exporter)
        self._tracer = self._provider.get_tracer("twinrank")
        self._query_text = query_text

    @contextmanager
    def trace(self, request: Request) -> Iterator[Traced]:
        """Trace what happens inside: the request that is yielded carries the span's context on."""
        from opentelemetry.propagate import extract, inject
        from opentelemetry.trace import SpanKind, set_span_in_context

        spoken = find_endpoint(request.method, request.path)
        name = f"{request.method} {spoken.api.name.lower()}" if spoken else request.method
        attributes = {"http.request.method": request.method, "url.path": request.path}
        parent = extract(_select_propagated(request))
        with self._tracer.start_as_current_span(
            name, parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            carried: dict[str, str] = {}
            inject(carried, set_span_in_context(span, parent))
            kept = request.headers_without("traceparent", "tracestate", *carried)
            headers = (*kept, *carried.items())
            yield Traced(replace(request, headers=headers), span)

    def record_response(self, traced: Traced, response: Response) -> None:
        """Record status and outcome, and make a span of each stage."""
        from opentelemetry.trace import Status, StatusCode

        span = traced.span
        if span is None or not span.is_recording():
            return
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        outcome, context = outcome_of(response), traced.request.context
        if outcome is not None:
            span.set_attributes(_build_attributes(outcome))
        if self._query_text and context.query_texts:
            span.set_attribute("twinrank.query_text", context.query_texts)
        self._record_stages(context, span)

    def _record_stages(self, request: RequestContext, span: "Span") -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context

        context = set_span_in_context(span)
        for stage in request.stages:
            kind = SpanKind.CLIENT if stage.name in _UPSTREAM_STAGES else SpanKind.INTERNAL
            child = self._tracer.start_span(stage.name, context, kind=kind, start_time=stage.started_ns)
            child.end(stage.ended_ns)

    def close(self) -> None:
        """Send what is left, and end."""
        self._provider.shutdown()


def wants_spans(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment names a collector, and does not switch spans off."""
    is_off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environment.get("OTEL_TRACES_EXPORTER", "otlp").lower() == "none"
    )
    return not is_off and any(environment.get(name) for name in COLLECTOR_VARIABLES)


def check_tracing(environment: Mapping[str, str] = os.environ) -> None:
    """Check, before a worker starts, that spans can be sent if they are wanted.

    Raises:
        TracingError: the extra is not installed, or another protocol is asked for.
    """
    if not wants_spans(environment):
        return
    protocol = next((environment[name] for name in _PROTOCOL_VARIABLES if environment.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise TracingError(
            f"expected {_PROTOCOL} in {' or '.join(_PROTOCOL_VARIABLES)}, found {protocol!r}."
            " Name the collector's HTTP port, 4318 by default"
        )
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401  # whether it is there
    except ImportError as error:
        raise TracingError(
            missing_package(COLLECTOR_VARIABLES[1], "otel", error) + "; or unset the variable"
        ) from error


def create_tracing(*, query_text: bool = False) -> Tracing:
    """Return what traces if the environment names a collector; call it in a worker, for its thread."""
    return SpanTracing(query_text=query_text) if wants_spans() else Tracing()


def _create_provider(exporter: "SpanExporter | None") -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_SERVICE_NAME", "twinrank")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    return provider


def _select_propagated(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers if name.lower() in _PROPAGATED}


def _build_attributes(outcome: AnyOutcome) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {"twinrank.outcome": outcome.result}
    if outcome.reason:
        attributes["twinrank.reason"] = outcome.reason
    if outcome.window:
        attributes |= {"twinrank.window": outcome.window, "twinrank.scored": outcome.scored}
    return attributes
