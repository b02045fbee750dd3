"""Traces as OpenTelemetry spans, exported over OTLP/HTTP; needs the extra `otel`, which is imported with this module.

Spans of parts begin when these do, for what is below them is told of them. All else is done when a trace is complete,
by the thread that writes traces; the library's own thread sends them.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_pyserve.engine.tracing.watch import Carrier
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.telemetry.traces import COMPLETE, Part, TraceRecord, compute_events

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import Span, SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise PyServeError(
        Code.UNSUPPORTED,
        "traces over OpenTelemetry need packages that are not installed: pip install 'jupyter_pyserve[otel]' "
        f"({error})",
    ) from error

_log = logging.getLogger(__name__)

DEFAULT_URL: Final = "http://localhost:4318/v1/traces"
_SERVICE: Final = "triton-inference-server"
_TRACER: Final = "triton-server"
_CLOSE_TIMEOUT_S: Final = 3.0
_PROPAGATOR: Final = TraceContextTextMapPropagator()


@dataclass(slots=True)
class _Open:
    """The spans of a trace that is under way, by the ids of its parts."""

    root: Span
    parts: dict[int, Span] = field(default_factory=dict)


class SpanExport:
    """Makes spans of traces; `options` are the mode's settings by name."""

    def __init__(self, options: Sequence[tuple[str, str]], executor: Executor) -> None:
        named = dict(options)
        resource = dict(_pair(value) for name, value in options if name == "resource")
        queue = max(1, int(named["bsp_max_queue_size"]))
        self._exporter = OTLPSpanExporter(endpoint=endpoint(named.get("url", "")))
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=queue,
            schedule_delay_millis=max(1, int(named["bsp_schedule_delay"])),
            max_export_batch_size=max(1, min(queue, int(named["bsp_max_export_batch_size"]))),
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": _SERVICE, **resource}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer(_TRACER)
        self._executor = executor
        self._open: dict[int, _Open] = {}
        # Spans have the wall clock's times, requests the monotonic one's.
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def is_context(self, carrier: Carrier) -> bool:
        """Whether these headers name a trace of the client's."""
        return bool(_PROPAGATOR.extract(carrier, context=Context()))

    def continues(self, record: TraceRecord, carrier: Carrier | None) -> None:
        """A trace begins, in the client's if it has one."""
        context = _PROPAGATOR.extract(carrier, context=Context()) if carrier is not None else Context()
        start_ns = record.received_ns[0] + self._offset_ns
        span = self._tracer.start_span("InferRequest", context, SpanKind.SERVER, start_time=start_ns)
        self._open[id(record)] = _Open(span)

    def begin(self, record: TraceRecord, part: Part) -> str:
        """A part has begun; the context that is passed on below it, as JSON."""
        spans = self._open[id(record)]
        parent = spans.parts.get(part.parent_id, spans.root)
        attributes: dict[str, str | int] = {
            "triton.model_name": part.model,
            "triton.model_version": part.version,
            "triton.trace_id": part.id,
            "triton.trace_parent_id": part.parent_id,
        }
        if part.request_id:
            attributes["triton.request_id"] = part.request_id
        spans.parts[part.id] = span = self._start(part.model, parent, part.request_start_ns, attributes)
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
        return json.dumps(carrier, separators=(",", ":"))

    def _start(self, name: str, parent: Span, start_ns: int, attributes: Mapping[str, Any] | None = None) -> Span:
        context = trace.set_span_in_context(parent, Context())
        return self._tracer.start_span(
            name, context, SpanKind.SERVER, attributes, start_time=start_ns + self._offset_ns
        )

    def end(self, record: TraceRecord) -> None:
        """A trace is complete."""
        self._executor.submit(self._end, record, self._open.pop(id(record)), time.monotonic_ns())

    def _end(self, record: TraceRecord, spans: _Open, end_ns: int) -> None:
        try:
            for part in reversed(record.parts):
                self._end_part(part, spans.parts[part.id])
            for name, ns in (*record.received(), *((COMPLETE, ns) for ns in record.completed_ns()), *record.sent()):
                self._event(spans.root, name, ns)
            spans.root.end(end_ns + self._offset_ns)
        except Exception:  # noqa: BLE001 - the top of a thread's task
            _log.exception("the spans of a trace are lost")

    def _end_part(self, part: Part, span: Span) -> None:
        for name, ns in (("REQUEST_START", part.request_start_ns), ("QUEUE_START", part.queue_start_ns)):
            self._event(span, name, ns)
        for events in compute_events(part):
            compute = self._start("compute", span, events[0][1])
            for name, ns in events:
                self._event(compute, name, ns)
            compute.end(events[-1][1] + self._offset_ns)
        self._event(span, "REQUEST_END", part.request_end_ns)
        span.end(part.request_end_ns + self._offset_ns)

    def _event(self, span: Span, name: str, ns: int) -> None:
        if ns:
            span.add_event(name, timestamp=ns + self._offset_ns)

    def close(self) -> None:
        """Have what is left sent, behind what is still to be made a span of."""
        self._executor.submit(self._close)

    def _close(self) -> None:
        # Which tries again and again while nobody answers.
        giving_up = threading.Timer(_CLOSE_TIMEOUT_S, self._exporter.shutdown)
        giving_up.start()
        self._processor.shutdown()  # type: ignore[no-untyped-call]
        giving_up.cancel()


def endpoint(url: str) -> str:
    """Where to: Triton takes addresses without a scheme, too."""
    if not url:
        return DEFAULT_URL
    return url if "://" in url else f"http://{url}"


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value
