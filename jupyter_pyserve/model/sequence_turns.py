"""A sequence of requests and the turns in which its requests are executed.

Owns where a sequence is in its life. Must not know slots, batches or other sequences.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.lifecycle import SEQUENCE, SequenceEvent, SequenceState, advance
from jupyter_pyserve.model.queueing import Queued
from jupyter_pyserve.model.statistics import FailureReason

if TYPE_CHECKING:
    from jupyter_pyserve.model.sequence_slots import Slots

#: Bits of a request's flags.
START: Final = 1
END: Final = 2

CorrelationId: TypeAlias = int | str

_MOST_LOST: Final = 1024


class Sequenced(Queued, Protocol):
    """What a sequence batcher reads of a request; it tells requests apart by identity."""

    @property
    def correlation_id(self) -> CorrelationId:
        """0 and "" belong to no sequence."""

    @property
    def flags(self) -> int: ...


SequencedT = TypeVar("SequencedT", bound=Sequenced)


class Refusal(NamedTuple, Generic[SequencedT]):
    """A request that was accepted and cannot be executed after all; `reason` is how that is counted."""

    request: SequencedT
    code: Code
    text: str
    reason: FailureReason = FailureReason.OTHER


class Turn(Generic[SequencedT]):
    """One execution of a request; `flags` are those that the model is shown. Batched like a request of its own."""

    __slots__ = ("again", "enqueue_ns", "flags", "request", "sequence")

    def __init__(self, request: SequencedT, sequence: Sequence[SequencedT], flags: int, now_ns: int) -> None:
        self.request = request
        self.sequence = sequence
        self.flags = flags
        self.enqueue_ns = now_ns
        #: Whether the request is to be executed once more afterwards.
        self.again = False

    @property
    def batch_size(self) -> int:
        return self.request.batch_size

    @property
    def shape_key(self) -> Hashable:
        return self.request.shape_key

    @property
    def priority(self) -> int:
        return 0

    @property
    def timeout_us(self) -> int:
        return self.request.timeout_us

    @property
    def id(self) -> str:
        return self.request.id


class Sequence(Generic[SequencedT]):
    """Requests with one correlation id, from a START on; `turns` are those that wait. `key` is what finds it."""

    __slots__ = ("busy", "expires_ns", "id", "index", "key", "slots", "state", "touched_ns", "turns")

    def __init__(self, correlation_id: CorrelationId, key: Hashable) -> None:
        self.id = correlation_id
        self.key = key
        self.state = SequenceState.BACKLOG
        self.turns: deque[Turn[SequencedT]] = deque()
        #: Where it runs: the slots of an instance and its own among them; None in the backlog.
        self.slots: Slots[SequencedT] | None = None
        self.index = 0
        #: Whether one of its turns is being executed, or about to be.
        self.busy = False
        #: When its last request came.
        self.touched_ns = 0
        #: When its wait in the backlog is over; None for never.
        self.expires_ns: int | None = None

    def take(self, event: SequenceEvent) -> None:
        """A step of its life."""
        self.state = advance(SEQUENCE, self.state, event)

    def bound(self, turn: Turn[SequencedT], now_ns: int) -> None:
        """The shortest timeout of its requests is the sequence's, while it waits for a slot."""
        if turn.timeout_us:
            expires_ns = now_ns + turn.timeout_us * 1000
            self.expires_ns = expires_ns if self.expires_ns is None else min(self.expires_ns, expires_ns)


class Lost(OrderedDict[CorrelationId, str]):
    """What became of sequences that were lost, so that whoever goes on with one is told; the last of them."""

    def remember(self, correlation_id: CorrelationId, text: str) -> None:
        """One more is lost."""
        self[correlation_id] = text
        if len(self) > _MOST_LOST:
            self.popitem(last=False)
