"""OpenTelemetry spans, off unless its standard environment asks for them."""

import time
from collections.abc import Mapping

from opentelemetry import propagate
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Tracer, set_span_in_context

from perennial.errors import BadInput
from perennial.serving.service import Searched

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Spans:
    """A span for each request, with one for its batch's encoding and one for its search."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("perennial.serving")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Spans | None":
        """None unless OTEL_TRACES_EXPORTER or an OTLP endpoint is set; raises BadInput."""
        named = environment.get("OTEL_TRACES_EXPORTER", "")
        kind = named or ("otlp" if any(environment.get(name) for name in _ENDPOINTS) else "none")
        if kind == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return None
        default = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": "perennial"}
        provider = TracerProvider(resource=Resource.create(default))
        provider.add_span_processor(BatchSpanProcessor(_exporter(kind)))
        return cls(provider)

    def searched(self, searched: Searched, *, headers: Mapping[str, str], k: int) -> None:
        """The spans of a request that was just answered; queries are nobody's business here."""
        end = time.time_ns()
        start = end - int(1e9 * searched.total_seconds)
        span = self._tracer.start_span(
            "search", context=propagate.extract(dict(headers)), start_time=start
        )
        first = searched.shown[0]
        span.set_attributes(
            {
                "perennial.release": first.release_id,
                "perennial.arm": first.arm,
                "perennial.queries": len(searched.shown),
                "perennial.k": k,
            }
        )
        within, at = set_span_in_context(span), end
        for name, seconds in (
            ("find", searched.search_seconds),
            ("encode", searched.encode_seconds),
        ):
            began = at - int(1e9 * seconds)
            self._tracer.start_span(name, context=within, start_time=began).end(at)
            at = began
        span.end(end)

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def _exporter(kind: str) -> SpanExporter:
    if kind == "console":
        return ConsoleSpanExporter()
    if kind != "otlp":
        raise BadInput(f"OTEL_TRACES_EXPORTER is {kind!r}; set it to otlp, console or none")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise BadInput(
            "spans are asked for over OTLP, but its exporter is not installed; run `pip install "
            "opentelemetry-exporter-otlp-proto-http`, or set OTEL_TRACES_EXPORTER=none"
        ) from error
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter
