from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from jupyter_pyserve.engine.job import Job, Response, Tally
from jupyter_pyserve.engine.tracing.watch import Trace, Watch, begin, watched
from jupyter_pyserve.errors import Code
from jupyter_pyserve.telemetry.traces import Front, Part, TracedTensor, TraceRecord
from jupyter_pyserve.v2.infer import InferRequest, InputRef
from jupyter_pyserve.v2.plan import make_request_plan
from tests.unit.transports.http.fakes import FakeServable

TWO = struct.pack("<2f", 0.5, 2)


class Client:
    """Keeps responses until it is told to let them go."""

    def __init__(self) -> None:
        self.responses: list[Response] = []

    def deliver(self, job: Job, response: Response) -> None:
        self.responses.append(response)


class Spans:
    def begin(self, record: TraceRecord, part: Part) -> str:
        return f"context of {part.model}"


class Bench:
    """A traced request to a model."""

    def __init__(self, front: Front = Front.HTTP, *levels: str, spans: Spans | None = None) -> None:
        self.servable = FakeServable()
        self.client = Client()
        self.ended: list[TraceRecord] = []
        self.record = TraceRecord(levels=levels or ("TIMESTAMPS",), front=front, received_ns=(1, 2))
        ids = iter(range(1, 9))
        trace = Trace(self.record, ids.__next__, spans, self.ended.append)
        self.job: Job | None = self.ask(Watch(trace, self.client))

    def ask(self, sink: Any) -> Job:
        job, segment, offset = self.servable.new_job(8, sink)
        self.servable.arena.view(segment, offset, 8)[:] = TWO
        job.descriptors = ((segment, offset, 8, 0),)
        item = InputRef(name="IN", datatype="FP32", shape=(2,), offset=0, nbytes=8)
        job.plan = make_request_plan(
            InferRequest(id="abc", inputs=(item,), outputs=(), parameters={}), self.servable.signature
        )
        begin(job, self.servable)
        return job

    @property
    def part(self) -> Part:
        return self.record.parts[0]

    def answer(self, *, final: bool = True, bare: bool = False, code: Code | None = None) -> None:
        assert self.job is not None
        metas: Sequence[TensorMeta] = () if bare or code is not None else (TensorMeta("OUT", CODES["FP32"], (2,)),)
        response = Response(
            self.job,
            code,
            "",
            encode_layout(metas),
            tuple(metas),
            self.job.descriptors if metas else (),
            lender=self.servable.instance if metas else None,
            final=final,
            bare=bare,
        )
        self.job.sink.deliver(self.job, response)


def test_a_request_that_is_answered() -> None:
    bench = Bench()
    assert bench.job is not None
    assert bench.job.tally is not None
    bench.job.tally.add(10, 20, 30)
    bench.answer()
    part = bench.part
    assert (part.model, part.version, part.request_id) == ("m", 1, "abc")
    ((start_ns, input_ns, output_ns, end_ns),) = part.computes
    assert (input_ns - start_ns, output_ns - input_ns, end_ns - output_ns) == (10, 20, 30)
    assert part.request_start_ns <= part.queue_start_ns <= end_ns <= part.request_end_ns
    (leaving,) = bench.record.sent_ns
    assert leaving[1] == 0
    bench.job = None
    assert not bench.ended
    bench.client.responses.pop().release()
    assert bench.ended == [bench.record]
    assert leaving[1] >= leaving[0] > 0


def test_a_failure_has_left_when_it_was_delivered() -> None:
    bench = Bench()
    bench.answer(code=Code.INTERNAL)
    assert bench.record.sent_ns[0][1] > 0


def test_news_without_tensors_do_not_leave() -> None:
    bench = Bench()
    bench.answer(final=False)
    bench.answer(bare=True)
    assert [response.bare for response in bench.client.responses] == [False, True]
    assert len(bench.record.sent_ns) == 1
    assert len(list(bench.record.completed_ns())) == 2


def test_tensors_are_kept_as_they_were() -> None:
    bench = Bench(Front.HTTP, "TENSORS")
    bench.answer()
    assert bench.part.inputs == [TracedTensor("IN", "FP32", (2,), TWO)]
    assert bench.part.outputs[0] == TracedTensor("OUT", "FP32", (2,), TWO)


def test_tensors_that_cannot_be_read_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def views(response: Response) -> list[memoryview]:
        raise WireError("odd")

    bench = Bench(Front.HTTP, "TENSORS")
    monkeypatch.setattr(Response, "views", views)
    bench.answer()
    (completed,) = bench.part.outputs
    assert [completed] == list(bench.record.completed_ns())
    assert len(bench.client.responses) == 1


def test_a_lane_is_not_told_of_leaving() -> None:
    bench = Bench(Front.LANE)
    bench.answer()
    assert bench.record.sent_ns == []
    assert bench.part.outputs == []


def test_a_request_that_nobody_answers_ends_with_its_job() -> None:
    bench = Bench()
    assert bench.part.request_end_ns == 0
    bench.job = None
    assert bench.ended == [bench.record]
    assert bench.part.request_end_ns > 0


def test_what_the_model_is_told() -> None:
    bench = Bench(spans=Spans())
    assert bench.job is not None
    assert json.loads(bench.job.meta)["trace"] == "context of m"
    plain = make_request_plan(bench.job.plan.request, bench.servable.signature)
    assert "trace" not in json.loads(plain.meta)


def test_requests_of_the_model_are_below() -> None:
    bench = Bench()
    assert bench.job is not None
    watch = watched(bench.job)
    assert watch is not None
    child: Job | None = bench.ask(watch.below(bench.client))
    assert [(part.id, part.parent_id) for part in bench.record.parts] == [(1, 0), (2, 1)]
    del watch
    bench.job = None
    assert not bench.ended
    assert child is not None
    assert watched(child) is not None
    child = None
    assert bench.ended


def test_an_ensemble_s_durations_are_its_members() -> None:
    bench = Bench()
    bench.servable.members = ("n",)  # type: ignore[assignment]
    assert bench.job is not None
    bench.record.parts.clear()
    tally = Tally()
    job, _, _ = bench.servable.new_job(8, Watch(watched(bench.job)._trace, bench.client))  # type: ignore[union-attr]
    job.plan, job.descriptors, job.tally = bench.job.plan, bench.job.descriptors, tally
    begin(job, bench.servable)
    assert job.tally is not tally
    job.tally.add(1, 2, 3)
    assert (tally.input_ns, tally.infer_ns, tally.output_ns) == (1, 2, 3)
    assert bench.part.computes == []


def test_a_job_that_is_not_traced() -> None:
    servable = FakeServable()
    job, _, _ = servable.new_job(8, Client())
    begin(job, servable)
    assert watched(job) is None
    assert job.tally is None
