"""The slots of one instance, and which turns make up its next batch: by position (direct), or by age (oldest).

Decides nothing about which sequence gets a slot. Carries nothing out and reads no clock.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol

from jupyter_pyserve.model.batching import DynamicBatcher
from jupyter_pyserve.model.scheduling import DirectStrategy, DynamicBatching, OldestStrategy
from jupyter_pyserve.model.sequence_turns import Sequence, SequencedT, Turn

# A utilization is written as a 32-bit number, so 3 of 10 may come to a little less than 0.3.
_ROUNDING = 1e-6


class Slots(Protocol[SequencedT]):
    """What a sequence batcher asks of either strategy."""

    book: SlotBook[SequencedT]
    #: When to ask again after `choose` preferred to wait; None if nothing waits.
    due_ns: int | None

    def offered(self, sequence: Sequence[SequencedT], now_ns: int) -> None:
        """A sequence that has a slot may have a turn to execute."""

    def withdraw(self, turn: Turn[SequencedT]) -> None:
        """A turn that waits is not wanted any more."""

    def choose(self, now_ns: int) -> list[Turn[SequencedT] | None] | None:
        """The next batch, or None to wait; None in a batch is a slot that has nothing to execute."""


class SlotBook(Generic[SequencedT]):
    """Which slot of an instance has which sequence. Slots come to exist when used: there may be very many."""

    __slots__ = ("_count", "_freed", "_unused", "closed", "taken")

    def __init__(self, count: int) -> None:
        #: Whether no sequence gets a slot any more.
        self.closed = False
        self._count = count
        self._unused = 0
        self._freed: list[int] = []
        self.taken: dict[int, Sequence[SequencedT]] = {}

    @property
    def lowest_free(self) -> int | None:
        """The first slot that a sequence can have."""
        if self.closed:
            return None
        if self._freed:
            return self._freed[0]
        return self._unused if self._unused < self._count else None

    def put(self, sequence: Sequence[SequencedT]) -> int:
        """Give a sequence the first free slot, and say which that is."""
        if self._freed:
            index = heapq.heappop(self._freed)
        else:
            index = self._unused
            self._unused += 1
        self.taken[index] = sequence
        return index

    def free(self, index: int) -> None:
        """The sequence there is gone."""
        del self.taken[index]
        heapq.heappush(self._freed, index)

    def in_order(self) -> list[tuple[int, Sequence[SequencedT]]]:
        """Every slot that has a sequence."""
        return sorted(self.taken.items())


class DirectSlots(Generic[SequencedT]):
    """A slot is a position in every batch, so that a model finds a sequence's state by it."""

    __slots__ = ("_delay_ns", "_size", "_utilization", "book", "due_ns")

    def __init__(self, strategy: DirectStrategy, *, max_batch_size: int) -> None:
        self._size = max(1, max_batch_size)
        self._utilization = strategy.minimum_slot_utilization
        # Without a utilization to wait for there is nothing to wait for.
        self._delay_ns = strategy.max_queue_delay_us * 1000 if self._utilization else 0
        self.book: SlotBook[SequencedT] = SlotBook(self._size)
        self.due_ns: int | None = None

    def offered(self, sequence: Sequence[SequencedT], now_ns: int) -> None:
        """Batches are made of whatever waits in the slots."""

    def withdraw(self, turn: Turn[SequencedT]) -> None:
        """Nothing is kept of turns."""

    def choose(self, now_ns: int) -> list[Turn[SequencedT] | None] | None:
        self.due_ns = None
        first = [(index, sequence.turns[0]) for index, sequence in self.book.in_order() if sequence.turns]
        if not first:
            return None
        if self._delay_ns and len(first) / self._size < self._utilization - _ROUNDING:
            due_ns = min(turn.enqueue_ns for _, turn in first) + self._delay_ns
            if now_ns < due_ns:
                self.due_ns = due_ns
                return None
        batch: list[Turn[SequencedT] | None] = [None] * (first[-1][0] + 1)
        shape_key = first[0][1].shape_key
        for index, turn in first:
            if turn.shape_key == shape_key:
                batch[index] = turn
        return batch


class OldestSlots(Generic[SequencedT]):
    """Turns are batched like unrelated requests, at most one of each sequence at a time."""

    __slots__ = ("_batcher", "book", "due_ns")

    def __init__(self, strategy: OldestStrategy, *, max_batch_size: int, hold_until: int = 0) -> None:
        batching = DynamicBatching(
            preferred_batch_size=strategy.preferred_batch_size,
            max_queue_delay_us=strategy.max_queue_delay_us,
            preserve_ordering=strategy.preserve_ordering,
        )
        self._batcher: DynamicBatcher[Turn[SequencedT]] = DynamicBatcher(
            batching, max_batch_size=max_batch_size, hold_until=hold_until
        )
        most = strategy.max_candidate_sequences
        self.book: SlotBook[SequencedT] = SlotBook(most if most > 0 else max(1, max_batch_size))
        self.due_ns: int | None = None

    def offered(self, sequence: Sequence[SequencedT], now_ns: int) -> None:
        if sequence.turns and not sequence.busy:
            sequence.busy = True
            turn = sequence.turns[0]
            turn.enqueue_ns = now_ns
            self._batcher.offer(turn, now_ns)

    def withdraw(self, turn: Turn[SequencedT]) -> None:
        if self._batcher.cancel(turn):
            turn.sequence.busy = False

    def choose(self, now_ns: int) -> list[Turn[SequencedT] | None] | None:
        batch = self._batcher.next_batch(now_ns)
        self.due_ns = self._batcher.next_wakeup_ns(now_ns) if batch is None else None
        return list(batch) if batch is not None else None
