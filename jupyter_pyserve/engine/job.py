"""One request on its way through the engine, and the response to it; both own the shared memory that they refer to.

Ownership is counted: a job's input block is freed when the front end is done with the answer and the stub has let go of
the inputs, in whichever order that happens.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import TensorMeta, WireError

from jupyter_pyserve.errors import Code

if TYPE_CHECKING:
    from jupyter_pyserve.engine.memory.arena import Segment
    from jupyter_pyserve.engine.memory.region import Target
    from jupyter_pyserve.engine.stubs.instance import Instance

new_key = itertools.count(1).__next__


class Memory(Protocol):
    """Where a request's inputs lie: an arena of the engine, or a lane's memory."""

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range."""

    def segment(self, segment_id: int) -> Segment:
        """The segment of that id."""

    def free(self, block_id: int) -> object:
        """Nobody reads the block any more."""


class Sink(Protocol):
    """Who gets the answer: one response, unless the model is decoupled."""

    def deliver(self, job: Job, response: Response) -> None:
        """Take a response; `response.release()` must be called when its bytes have been sent, once for each."""


class Owner(Protocol):
    """The loaded model version that a job belongs to; it may not be dropped while jobs are alive."""

    name: str
    outstanding: int
    #: Who carries its jobs out, if that is not other models.
    instances: list[Instance]

    def job_ended(self) -> None:
        """A job is answered."""

    def memory_freed(self) -> None:
        """The memory of a job's inputs is free again."""

    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any more."""

    def parts(self, job: Job) -> Sequence[Job]:
        """The jobs that this one consists of at present."""


class Job:
    """A request on its way; one that does not `count` is nobody's, and in no statistics."""

    counts = True

    __slots__ = (
        "block_id",
        "cancelled",
        "descriptors",
        "dispatched_ns",
        "enqueue_ns",
        "facts",
        "foreign",
        "inner",
        "instance",
        "key",
        "memory",
        "owner",
        "plan",
        "refs",
        "responded",
        "sink",
        "tally",
        "targets",
    )

    def __init__(self, owner: Owner, memory: Memory, block_id: int, sink: Sink) -> None:
        self.key = new_key()
        self.owner = owner
        self.memory = memory
        self.block_id = block_id
        self.sink = sink
        self.refs = 1
        self.cancelled = False
        #: Whether there was a response already, where somebody wants to know.
        self.responded = False
        #: Memory in which inputs lie and that is not the model's own: a client's, another stub's.
        self.foreign: Sequence[Segment] = ()
        #: What the request comes to, worked out by its front end and shared by equal requests: `meta` and `layout` as
        #: the stub is sent them, `batch_size`, `shape_key`, and the `request` itself.
        self.plan: Any = None
        self.descriptors: Sequence[PlainDescriptor] = ()
        #: Where the client wants outputs, by their names; filled by who answers it.
        self.targets: Mapping[str, Target] = {}
        #: What the stub is sent instead of the plan's `meta`, if a scheduler has more to say.
        self.facts: bytes | None = None
        #: Whether another model or a notebook asks: then some of those who take turns on the processors wait awake.
        self.inner = False
        #: Where its durations are added up besides, if it is part of another request.
        self.tally: Durations | None = None
        self.enqueue_ns = 0
        self.dispatched_ns = 0
        #: Whose stub was given it.
        self.instance: Instance | None = None
        owner.outstanding += 1

    @property
    def batch_size(self) -> int:
        """How many inferences it stands for."""
        size: int = self.plan.batch_size
        return size

    @property
    def shape_key(self) -> Hashable:
        """Jobs with equal keys may share a batch."""
        key: Hashable = self.plan.shape_key
        return key

    @property
    def meta(self) -> bytes:
        """The rare facts of it, as the stub is sent them."""
        meta: bytes = self.plan.meta if self.facts is None else self.facts
        return meta

    @property
    def correlation_id(self) -> int | str:
        """Its sequence; 0 and "" mean none."""
        correlation_id: int | str = self.plan.request.correlation_id
        return correlation_id

    @property
    def flags(self) -> int:
        """Where the client says that it is in its sequence."""
        flags: int = self.plan.request.flags
        return flags

    @property
    def priority(self) -> int:
        """Level of its queue."""
        level: int = self.plan.request.priority
        return level

    @property
    def timeout_us(self) -> int:
        """What the client allows it to wait."""
        timeout_us: int = self.plan.request.timeout_us
        return timeout_us

    @property
    def id(self) -> str:
        """The client's name for it."""
        request_id: str = self.plan.request.id
        return request_id

    def ref(self) -> None:
        """One more party reads the inputs."""
        self.refs += 1

    def unref(self) -> None:
        """One of the parties that read the inputs is done."""
        self.refs -= 1
        if self.refs == 0:
            self.memory.free(self.block_id)
            self.owner.memory_freed()

    def finish(self) -> None:
        """The front end is done with the request: it is answered, or nobody wants an answer any more."""
        self.owner.job_ended()
        self.unref()

    def contains(self, segment: int, offset: int, nbytes: int) -> bool:
        """Whether a range lies inside one of this request's own inputs."""
        return any(
            segment == own[0] and own[1] <= offset and offset + nbytes <= own[1] + own[2] for own in self.descriptors
        )


class Durations(Protocol):
    """What wants to know how long an execution took."""

    def add(self, input_ns: int, infer_ns: int, output_ns: int) -> None:
        """One is over."""


class Tally:
    """How long the parts of a request took, each duration taken together."""

    __slots__ = ("infer_ns", "input_ns", "output_ns")

    def __init__(self) -> None:
        self.input_ns = self.infer_ns = self.output_ns = 0

    def add(self, input_ns: int, infer_ns: int, output_ns: int) -> None:
        """One part is over."""
        self.input_ns += input_ns
        self.infer_ns += infer_ns
        self.output_ns += output_ns


class Lender(Protocol):
    """Whose memory the tensors of an answer lie in, unless it is the request's own: a stub's, as a rule."""

    @property
    def segments(self) -> Mapping[int, Segment]:
        """The memory, by segment id."""

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """Nobody reads these tensors any more."""


class Response:
    """An answer: a failure (`code` is not None), or tensors that stay in place until `release`.

    A request has one, unless its model is decoupled: then there are any number, the last of which is `final`. A `bare`
    one has no tensors and says only that.
    """

    __slots__ = ("_job", "bare", "code", "descriptors", "final", "layout", "lender", "parameters", "tensors", "text")

    def __init__(
        self,
        job: Job,
        code: Code | None = None,
        text: str = "",
        layout: bytes = b"",
        tensors: tuple[TensorMeta, ...] = (),
        descriptors: Sequence[PlainDescriptor] = (),
        parameters: bytes = b"",
        lender: Lender | None = None,
        *,
        final: bool = True,
        bare: bool = False,
    ) -> None:
        self._job = job
        self.code = code
        self.text = text
        self.layout = layout
        self.tensors = tensors
        self.descriptors = descriptors
        self.parameters = parameters
        self.lender = lender
        self.final = final
        self.bare = bare
        if not final:
            job.refs += 1  # its tensors may lie in the inputs, which the final one does not wait for

    @property
    def targets(self) -> Mapping[str, Target]:
        """Where the client wants outputs, by their names."""
        return self._job.targets

    def views(self) -> list[memoryview]:
        """The bytes of each tensor, where they are; a stub that points elsewhere is refused with `WireError`."""
        segments = self.lender.segments if self.lender is not None else {}
        views = []
        for item in self.descriptors:
            segment, offset, nbytes, _ = item
            lent = segments.get(segment)
            if lent is not None and offset + nbytes <= lent.nbytes:  # as a rule
                views.append(lent.read(offset, nbytes))
            else:
                views.append(self._own_view(item))
        return views

    def places(self) -> Sequence[PlainDescriptor]:
        """Where the bytes of each tensor are, for who passes them on."""
        return self.descriptors

    def _own_view(self, descriptor: PlainDescriptor) -> memoryview:
        """Of a tensor that lies in the request's inputs, or nowhere."""
        segment, offset, nbytes, _ = descriptor
        if not nbytes:
            return memoryview(b"")
        self.segment(descriptor)
        return self._job.memory.view(segment, offset, nbytes)

    def segment(self, descriptor: PlainDescriptor) -> Segment | None:
        """Where one of the tensors lies: in memory that was lent, or (None) in the request's own inputs.

        A stub that points elsewhere is refused with `WireError`.
        """
        segment, offset, nbytes, _ = descriptor
        assert self.lender is not None
        lent = self.lender.segments.get(segment)
        if lent is None:
            if nbytes and not self._job.contains(segment, offset, nbytes):
                raise WireError("a response points at memory that is not its own")
        elif offset + nbytes > lent.nbytes:
            raise WireError("a response points outside of its segment")
        return lent

    def pin(self) -> Sequence[Segment]:
        """The memory that was lent for it, kept until each is unpinned, even if the process that lent it ends."""
        with contextlib.suppress(WireError):  # who gets the answer says so
            lent = [self.segment(item) for item in self.descriptors]
            segments = [segment for segment in lent if segment is not None]
            for segment in segments:
                segment.pin()
            return segments
        return ()

    def release(self) -> None:
        """The answer has been sent, or nobody wants it."""
        lender = self._done()
        if lender is not None:
            lender.release(self.descriptors)

    def hand_over(self) -> Callable[[], None]:
        """The request is done with, but not the tensors: they stay until the function that this returns is called."""
        lender = self._done()
        return functools.partial(lender.release, self.descriptors) if lender is not None else _nothing

    def _done(self) -> Lender | None:
        """The request is done with; who has lent the tensors."""
        if self.final:
            self._job.finish()
        else:
            self._job.unref()
        lender, self.lender = self.lender, None
        return lender


def _nothing() -> None:
    """There is nothing to release."""


class Executed(Protocol):
    """What an instance tells its owner."""

    @property
    def stopping(self) -> bool:
        """Whether it is being unloaded, or is."""

    def answered(
        self,
        instance: Instance,
        batch: list[Job],
        responses: Sequence[Response | None],
        times: BatchTimes,
        rescheduled: Sequence[Job],
    ) -> None:
        """`execute` is over for a batch: one response for each request, None if that is answered by itself.

        The `rescheduled` ones the model wants to see again.
        """

    def streamed(self, job: Job, response: Response) -> None:
        """A response that came by itself; with the final one the request is answered."""

    def failed(self, job: Job, text: str) -> None:
        """The model failed at a request, of which its response will say so too."""

    def relieved(self) -> None:
        """An instance may be able to take more work."""

    def died(self, instance: Instance, executing: list[Job], answering: list[Job], waiting: list[list[Job]]) -> None:
        """The process is gone. Of `answering`, `execute` was over; `waiting` batches had not been started."""


class BatchTimes(NamedTuple):
    """How long the stub took to unpack the inputs and the model to compute, and whether `execute` as a whole failed."""

    input_ns: int
    infer_ns: int
    failed: bool

    def output_ns(self, job: Job, now_ns: int) -> int:
        """What is left of the time since its execution began."""
        return max(0, now_ns - job.dispatched_ns - self.input_ns - self.infer_ns)
