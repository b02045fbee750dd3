from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jupyter_pyserve.engine.tracing import spans
from jupyter_pyserve.engine.tracing.spans import SpanExport, endpoint
from jupyter_pyserve.telemetry.traces import Front, Part, TraceRecord

OPTIONS = (
    ("url", "localhost:9/v1/traces"),
    ("resource", "test.key=a=b"),
    ("resource", "service.name=mine"),
    ("bsp_max_queue_size", "64"),
    ("bsp_schedule_delay", "0"),
    ("bsp_max_export_batch_size", "512"),
)
CLIENT = {"traceparent": "00-0af7651916cd43dd8448eb211c12666c-b7ad6b7169242424-00", "tracestate": "a=b"}


class Bench:
    def __init__(self, exporter: InMemorySpanExporter, executor: ThreadPoolExecutor) -> None:
        self._exporter = exporter
        self._executor = executor
        self.export = SpanExport(OPTIONS, executor)

    def trace(self, carrier: dict[str, str] | None = None) -> tuple[str, dict[str, ReadableSpan]]:
        """A request to a model that calls another: the context of the latter, and the spans by their names."""
        record = TraceRecord(levels=("TIMESTAMPS",), front=Front.HTTP, received_ns=(100, 110), sent_ns=[[300, 310]])
        self.export.continues(record, carrier)
        context = ""
        for number, parent, name in ((1, 0, "m"), (2, 1, "n")):
            part = Part(id=number, parent_id=parent, model=name, version=3, request_start_ns=120, queue_start_ns=130)
            part.request_id = "abc" if name == "m" else ""
            record.parts.append(part)
            context = self.export.begin(record, part)
            part.request_end_ns = 290
        record.parts[0].outputs.append(280)
        record.parts[1].computes.append((140, 150, 160, 170))
        self.export.end(record)
        self.export.close()
        self._executor.submit(int).result()
        return context, {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(spans, "OTLPSpanExporter", lambda endpoint: exporter)
    with ThreadPoolExecutor(1) as executor:
        yield Bench(exporter, executor)


def events(span: ReadableSpan) -> list[str]:
    return [event.name for event in span.events]


def test_spans_of_a_request(bench: Bench) -> None:
    _, found = bench.trace()
    root, m, n, compute = (found[name] for name in ("InferRequest", "m", "n", "compute"))
    assert root.parent is None
    parents = [(span.parent and span.parent.span_id) for span in (m, n, compute)]
    assert parents == [span.context.span_id for span in (root, m, n)]
    assert events(root) == [
        "HTTP_RECV_START",
        "HTTP_RECV_END",
        "INFER_RESPONSE_COMPLETE",
        "HTTP_SEND_START",
        "HTTP_SEND_END",
    ]
    assert events(m) == ["REQUEST_START", "QUEUE_START", "REQUEST_END"]
    assert events(compute) == ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
    assert m.attributes == {
        "triton.model_name": "m",
        "triton.model_version": 3,
        "triton.trace_id": 1,
        "triton.trace_parent_id": 0,
        "triton.request_id": "abc",
    }
    assert n.attributes is not None
    assert "triton.request_id" not in n.attributes
    assert compute.end_time is not None
    assert compute.start_time is not None
    assert compute.end_time - compute.start_time == 30
    assert root.resource.attributes["service.name"] == "mine"
    assert root.resource.attributes["test.key"] == "a=b"


def test_times_are_those_of_the_wall(bench: Bench) -> None:
    _, found = bench.trace()
    root, m, compute = (found[name] for name in ("InferRequest", "m", "compute"))
    began_ns = root.start_time
    assert began_ns is not None
    assert [event.timestamp - began_ns for event in root.events] == [0, 10, 180, 200, 210]
    assert [event.timestamp - began_ns for event in m.events] == [20, 30, 190]
    assert [event.timestamp - began_ns for event in compute.events] == [40, 50, 60, 70]
    assert ((m.start_time or 0) - began_ns, (m.end_time or 0) - began_ns) == (20, 190)
    assert time.monotonic_ns() < began_ns < (root.end_time or 0) <= time.time_ns()


def test_a_trace_of_the_client_s_goes_on(bench: Bench) -> None:
    assert bench.export.is_context(CLIENT)
    assert not bench.export.is_context({"traceparent": "nonsense", "tracestate": ""})
    context, found = bench.trace(CLIENT)
    root, n = found["InferRequest"], found["n"]
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == "b7ad6b7169242424"
    assert {span.context.trace_id for span in found.values()} == {0x0AF7651916CD43DD8448EB211C12666C}
    assert json.loads(context) == {
        "traceparent": f"00-0af7651916cd43dd8448eb211c12666c-{n.context.span_id:016x}-01",
        "tracestate": "a=b",
    }


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", "http://localhost:4318/v1/traces"),
        ("localhost:9/v1/traces", "http://localhost:9/v1/traces"),
        ("https://far/v1", "https://far/v1"),
    ],
)
def test_where_to(url: str, found: str) -> None:
    assert endpoint(url) == found
