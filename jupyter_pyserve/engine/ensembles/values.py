"""The tensors of an ensemble's request on their way: where they are, who made them, and what keeps their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor

from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.memory.arena import Segment


class Source:
    """Keeps the memory of tensors, which may be that of a process that ends; given back when no value refers to it."""

    __slots__ = ("_give_back", "_lent")

    def __init__(self, give_back: Callable[[], None], lent: Iterable[Segment | None] = ()) -> None:
        self._give_back = give_back
        self._lent = [segment for segment in lent if segment is not None]
        for segment in self._lent:
            segment.pin()

    def __del__(self) -> None:
        for segment in self._lent:
            segment.unpin()
        self._give_back()


@dataclass(slots=True)
class Value:
    """A tensor where it is; `shared` says that more than one party may read it, `batch` how many inferences made it."""

    code: int
    shape: tuple[int, ...]
    place: tuple[int, int, int]
    segment: Segment | None
    source: Source
    shared: bool
    batch: int


class Lender:
    """The memory of an ensemble's answer: whatever its tensors lie in."""

    __slots__ = ("_values", "segments")

    def __init__(self, values: list[Value]) -> None:
        self.segments: Mapping[int, Segment] = {
            value.segment.id: value.segment for value in values if value.segment is not None
        }
        self._values = values

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        self._values = []


def holder_of(inputs: Sequence[Value], descriptor: PlainDescriptor) -> Value | None:
    """The input in which a member's answer lies, if it lies in one."""
    segment, offset, nbytes, _ = descriptor
    for value in inputs:
        where, start, length = value.place
        if where == segment and start <= offset and offset + nbytes <= start + length:
            return value
    return None


class Debt:
    """An answer of a member that may not answer as often as it likes, until what it has set going is over."""

    __slots__ = ("_job", "_left")

    def __init__(self, job: Job, left: int) -> None:
        self._job = job
        self._left = left

    def pay(self, count: int) -> None:
        """So many are over."""
        self._left -= count
        if not self._left and self._job.instance is not None:
            self._job.instance.send(frames.encode_keys(frames.CREDIT, (self._job.key,)))
