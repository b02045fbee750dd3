"""What is noted of a traced request on its way: the sink and the tally of its jobs, in front of the real ones.

Requests that are not traced have none of this. A trace is complete when nothing on the way refers to it any more, be
the request answered, cancelled, refused or lost with its stub. Must not know where traces go.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.frames import PlainDescriptor, encode_meta
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Durations, Job, Lender, Response, Sink
from jupyter_pyserve.telemetry.traces import TENSORS, Front, Part, TracedTensor, TraceRecord

if TYPE_CHECKING:
    from jupyter_pyserve.engine.memory.arena import Segment

#: The context that a client's own trace lives in, by the names of its headers.
Carrier = Mapping[str, str]


class Version(Protocol):
    """The model version that a job is for."""

    name: str
    version: int

    @property
    def members(self) -> Sequence[object]:
        """Those that carry out its requests, if it does not itself."""


class Spans(Protocol):
    """Who makes spans of parts while they go on, so that others can be put below them."""

    def begin(self, record: TraceRecord, part: Part) -> str:
        """A part has begun; the context that is passed on below it."""


class Trace:
    """One sampled request, alive while anything of it is under way."""

    __slots__ = ("_on_end", "new_id", "record", "spans")

    def __init__(
        self,
        record: TraceRecord,
        new_id: Callable[[], int],
        spans: Spans | None,
        on_end: Callable[[TraceRecord], None],
    ) -> None:
        self.record = record
        self.new_id = new_id
        self.spans = spans
        self._on_end = on_end

    def __del__(self) -> None:
        now_ns = time.monotonic_ns()
        for part in self.record.parts:
            part.request_end_ns = part.request_end_ns or now_ns  # it was cancelled or refused, or died
        self._on_end(self.record)


class Watch:
    """One job of a traced request: who waits for its answer, and adds up its durations, does so behind this."""

    __slots__ = ("_computes", "_part", "_sink", "_tally", "_trace", "context")

    def __init__(self, trace: Trace, sink: Sink, parent: Part | None = None) -> None:
        self._trace = trace
        self._sink = sink
        self._tally: Durations | None = None
        self._computes = True
        self._part = Part(id=trace.new_id(), parent_id=parent.id if parent is not None else 0, model="", version=0)
        #: What its model is told of the trace, "" if there is nothing to tell.
        self.context = ""

    def below(self, sink: Sink) -> Watch:
        """One more job, of a model that this one's calls or consists of."""
        return Watch(self._trace, sink, self._part)

    def precede(self, make: Callable[[Sink], Sink]) -> None:
        """Put somebody else between this and who waits for the answer."""
        self._sink = make(self._sink)

    def begin(self, job: Job, version: Version) -> None:
        """The job is about to be queued."""
        part, record = self._part, self._trace.record
        part.model, part.version, part.request_id = version.name, version.version, job.id
        part.request_start_ns = time.monotonic_ns()
        record.parts.append(part)
        self._computes = not version.members
        self._tally, job.tally = job.tally, self
        if TENSORS in record.levels:
            part.inputs = _inputs(job)
        if self._trace.spans is not None:
            self.context = self._trace.spans.begin(record, part)
        job.plan = copy.copy(job.plan)  # it is shared by requests that are not traced
        job.plan.meta = encode_meta(**{**json.loads(job.plan.meta), "trace": self.context})
        part.queue_start_ns = time.monotonic_ns()

    def add(self, input_ns: int, infer_ns: int, output_ns: int) -> None:
        """An execution is over."""
        if self._tally is not None:
            self._tally.add(input_ns, infer_ns, output_ns)
        if self._computes:
            end_ns = time.monotonic_ns()
            start_ns = end_ns - input_ns - infer_ns - output_ns
            times = (start_ns, start_ns + input_ns, start_ns + input_ns + infer_ns, end_ns)
            self._part.computes.append(times)
            self._part.request_end_ns = time.monotonic_ns()

    def deliver(self, job: Job, response: Response) -> None:
        """A response, on its way to who waits for it."""
        part, record = self._part, self._trace.record
        if TENSORS in record.levels and response.code is None:
            part.outputs += _outputs(response)
        now_ns = time.monotonic_ns()
        if response.final and not part.computes:
            part.request_end_ns = now_ns
        if part.parent_id or record.front is Front.LANE:
            self._sink.deliver(job, response)
            return
        part.outputs.append(now_ns)
        if response.bare:
            self._sink.deliver(job, response)
            return
        leaving = [now_ns, 0]
        record.sent_ns.append(leaving)
        lender = response.lender
        if lender is not None:
            response.lender = _Leaving(lender, leaving, self._trace)
        self._sink.deliver(job, response)
        if lender is None:
            leaving[1] = time.monotonic_ns()


class _Leaving:
    """The memory of a response that is on its way to the client."""

    __slots__ = ("_lender", "_times", "_trace")

    def __init__(self, lender: Lender, times: list[int], trace: Trace) -> None:
        self._lender = lender
        self._times = times
        self._trace = trace

    @property
    def segments(self) -> Mapping[int, Segment]:
        return self._lender.segments

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        self._times[1] = time.monotonic_ns()
        self._lender.release(descriptors)


def watched(job: Job) -> Watch | None:
    """The watch over a job that has been queued, if it is traced; others may have come before its sink since."""
    return job.tally if isinstance(job.tally, Watch) else None


def begin(job: Job, version: Version) -> None:
    """A job that may be traced is about to be queued."""
    if isinstance(job.sink, Watch):
        job.sink.begin(job, version)


def _inputs(job: Job) -> list[TracedTensor]:
    return [
        TracedTensor(item.name, item.datatype, tuple(item.shape), bytes(job.memory.view(*place[:3])))
        for item, place in zip(job.plan.request.inputs, job.descriptors)
        if place[2]
    ]


def _outputs(response: Response) -> list[TracedTensor | int]:
    with contextlib.suppress(WireError):  # who gets the response says so
        return [
            TracedTensor(name, NAMES[code], tuple(shape), bytes(view))
            for (name, code, shape), view in zip(response.tensors, response.views())
        ]
    return []
