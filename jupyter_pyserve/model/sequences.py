"""Decides which sequence of requests runs where: its slot, its wait in the backlog, and when it is over.

Owns the way from a correlation id to an instance. Carries nothing out and reads no clock: the engine says which
instances there are, asks `next_batch` for each that is idle, and says when its batch is `completed`.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Collection, Hashable
from itertools import count
from typing import Final, Generic

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.lifecycle import SequenceEvent, SequenceState
from jupyter_pyserve.model.scheduling import DirectStrategy, SequenceBatching
from jupyter_pyserve.model.sequence_slots import DirectSlots, OldestSlots, Slots
from jupyter_pyserve.model.sequence_turns import END, START, CorrelationId, Lost, Refusal, Sequence, SequencedT, Turn
from jupyter_pyserve.model.statistics import FailureReason

NOT_RESCHEDULABLE: Final = (
    "Request is released with TRITONSERVER_REQUEST_RELEASE_RESCHEDULE, while the model is not configured to handle "
    "such a flag."
)
SEQUENCE_TIMEOUT_EXPIRED: Final = "timeout of the corresponding sequence has been expired"
SEQUENCE_CANCELLED: Final = "a request of the same sequence was cancelled"


class SequenceScheduler(Generic[SequencedT]):
    """Sequences of one model version. `hold_until` turns in slots, and `hold_backlog` behind them, start everything."""

    def __init__(
        self,
        config: SequenceBatching,
        *,
        model_name: str,
        max_batch_size: int,
        hold_until: int = 0,
        hold_backlog: int = 0,
    ) -> None:
        self._config = config
        self._model_name = model_name
        self._max_batch_size = max_batch_size
        self._idle_ns = config.max_sequence_idle_us * 1000
        self._hold_until = hold_until
        self._hold_backlog = hold_backlog
        self._new_id = count(1).__next__
        self._members: dict[Hashable, Slots[SequencedT]] = {}
        self._running: dict[Hashable, list[Turn[SequencedT]]] = {}
        #: The turns that wait, by request.
        self._turns: dict[SequencedT, Turn[SequencedT]] = {}
        #: The sequences that take more requests, by key: nobody can join one whose id was made up here.
        self._open: dict[Hashable, Sequence[SequencedT]] = {}
        self._backlog: OrderedDict[Sequence[SequencedT], None] = OrderedDict()
        #: The active ones; whose last request is the longest ago comes first.
        self._touched: OrderedDict[Sequence[SequencedT], None] = OrderedDict()
        self._deadlines: list[tuple[int, int, Sequence[SequencedT]]] = []
        self._serial = count().__next__
        self._lost = Lost()
        self._suspended_ns: int | None = None

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._turns)

    # -- instances ----------------------------------------------------------------------------------------------------

    def join(self, instance: Hashable, now_ns: int) -> None:
        """There is an instance that can execute sequences."""
        self._members[instance] = self._new_slots()
        self._fill(now_ns)

    def _new_slots(self) -> Slots[SequencedT]:
        size = self._max_batch_size
        if self._config.oldest is not None:
            return OldestSlots(self._config.oldest, max_batch_size=size, hold_until=self._hold_until)
        return DirectSlots(self._config.direct or DirectStrategy(), max_batch_size=size)

    def retire(self, instance: Hashable) -> None:
        """An instance will leave when its sequences have ended; no other begins there."""
        self._members[instance].book.closed = True

    def is_vacant(self, instance: Hashable) -> bool:
        """Whether an instance has no sequence."""
        return not self._members[instance].book.taken

    def leave(self, instance: Hashable, name: str, now_ns: int) -> list[Refusal[SequencedT]]:
        """An instance is gone, and with it what it knew of its sequences: they are lost, up to their next START."""
        slots = self._members.pop(instance)
        self._running.pop(instance, None)
        refused: list[Refusal[SequencedT]] = []
        returning: list[Sequence[SequencedT]] = []
        for _, sequence in slots.book.in_order():
            sequence.busy = False
            sequence.slots = None
            text = (
                f"sequence {sequence.id} of model '{self._model_name}' was lost when the process of instance '{name}' "
                "ended; it has to be begun again with the START flag"
            )
            while sequence.turns and not sequence.turns[0].flags & START:
                refused.append(Refusal(self._drop_first(sequence), Code.UNAVAILABLE, text))
            if sequence.turns:
                returning.append(sequence)
            else:
                self._lose(sequence, text)
        for sequence in reversed(returning):
            self._return(sequence, now_ns)
        self._fill(now_ns)
        return refused

    def _drop_first(self, sequence: Sequence[SequencedT]) -> SequencedT:
        turn = sequence.turns.popleft()
        del self._turns[turn.request]
        return turn.request

    def _lose(self, sequence: Sequence[SequencedT], text: str) -> None:
        if sequence.state is SequenceState.ACTIVE and not self._config.iterative_sequence:
            self._lost.remember(sequence.id, text)
        self._close(sequence)
        sequence.take(SequenceEvent.LOSE)

    def _return(self, sequence: Sequence[SequencedT], now_ns: int) -> None:
        sequence.take(SequenceEvent.RETURN)
        sequence.expires_ns = None
        self._touched.pop(sequence, None)
        self._backlog[sequence] = None
        self._backlog.move_to_end(sequence, last=False)
        for turn in sequence.turns:
            self._bound(sequence, turn, now_ns)

    # -- requests -----------------------------------------------------------------------------------------------------

    def interrupts(self, request: SequencedT) -> bool:
        """Whether a request would begin a sequence anew that has not ended."""
        return bool(request.flags & START) and request.correlation_id in self._open

    def offer(self, request: SequencedT, now_ns: int) -> None:
        """Take a request into its sequence; raises `PyServeError` when it belongs to none."""
        if request.batch_size > 1:
            raise self._refuse("must specify batch-size 1 due to requirements of sequence batcher")
        correlation_id, flags = request.correlation_id, request.flags
        if correlation_id:
            sequence = self._open.get(correlation_id)
            if sequence is None:
                if not flags & START:
                    raise self._unknown(correlation_id)
                self._lost.pop(correlation_id, None)
                sequence = self._begin(correlation_id, correlation_id)
        elif self._config.iterative_sequence:
            number, flags = self._unused_id(), START
            sequence = self._begin(number, (number,))
        else:
            raise self._refuse("must specify a non-zero or non-empty correlation ID")
        self._append(sequence, request, flags, now_ns)
        self._fill(now_ns)

    def _begin(self, correlation_id: CorrelationId, key: Hashable) -> Sequence[SequencedT]:
        sequence = self._open[key] = Sequence(correlation_id, key)
        self._backlog[sequence] = None
        return sequence

    def _append(self, sequence: Sequence[SequencedT], request: SequencedT, flags: int, now_ns: int) -> None:
        turn = self._turns[request] = Turn(request, sequence, flags, now_ns)
        sequence.turns.append(turn)
        sequence.touched_ns = now_ns
        if sequence in self._touched:
            self._touched.move_to_end(sequence)
        if flags & END:
            self._close(sequence)
            sequence.take(SequenceEvent.END)
        if sequence.slots is not None:
            sequence.slots.offered(sequence, now_ns)
        else:
            self._bound(sequence, turn, now_ns)

    def _bound(self, sequence: Sequence[SequencedT], turn: Turn[SequencedT], now_ns: int) -> None:
        before_ns = sequence.expires_ns
        sequence.bound(turn, now_ns)
        if sequence.expires_ns is not None and sequence.expires_ns != before_ns:
            heapq.heappush(self._deadlines, (sequence.expires_ns, self._serial(), sequence))

    def _unused_id(self) -> int:
        while (number := self._new_id()) in self._open:
            pass
        return number

    def _refuse(self, what: str) -> PyServeError:
        return PyServeError(Code.INVALID_ARG, f"inference request to model '{self._model_name}' {what}")

    def _unknown(self, correlation_id: CorrelationId) -> PyServeError:
        lost = self._lost.get(correlation_id)
        if lost is not None:
            return PyServeError(Code.UNAVAILABLE, lost)
        return PyServeError(Code.INVALID_ARG, self._no_start(correlation_id))

    def _no_start(self, correlation_id: CorrelationId) -> str:
        return (
            f"inference request for sequence {correlation_id} to model '{self._model_name}' must specify the START "
            "flag on the first request of the sequence"
        )

    def cancel(self, request: SequencedT, now_ns: int) -> list[SequencedT]:
        """Drop a waiting request and all that follow it in its sequence, which ends; empty if it does not wait."""
        turn = self._turns.get(request)
        if turn is None:
            return []
        sequence = turn.sequence
        kept = 0
        if sequence.slots is None:
            del self._backlog[sequence]
        else:
            sequence.slots.withdraw(turn)
            kept = sequence.turns.index(turn)
        dropped: list[SequencedT] = []
        while len(sequence.turns) > kept:
            dropped.append(sequence.turns.pop().request)
            del self._turns[dropped[-1]]
        self._close(sequence)
        sequence.take(SequenceEvent.CANCEL)
        self._release_if_empty(sequence, now_ns)
        return dropped[::-1]

    # -- batches ------------------------------------------------------------------------------------------------------

    def has_turns(self, instance: Hashable) -> bool:
        """Whether any sequence in its slots waits for it."""
        return any(sequence.turns for sequence in self._members[instance].book.taken.values())

    def next_batch(self, instance: Hashable, now_ns: int) -> list[Turn[SequencedT] | None] | None:
        """What an idle instance should execute now, or None to wait; None in a batch is a slot without a request."""
        if self._held():
            return None
        batch = self._members[instance].choose(now_ns)
        if batch is None:
            return None
        running = [turn for turn in batch if turn is not None]
        self._running[instance] = running
        for turn in running:
            sequence = turn.sequence
            self._drop_first(sequence)
            sequence.busy = True
            self._release_if_empty(sequence, now_ns)
        return batch

    def reschedule(self, instance: Hashable, requests: Collection[SequencedT]) -> list[Refusal[SequencedT]]:
        """The model wants these requests again, once the batch that they are in is completed."""
        running = {turn.request: turn for turn in self._running.get(instance, ())}
        refused: list[Refusal[SequencedT]] = []
        for request in requests:
            if not self._config.iterative_sequence:
                refused.append(Refusal(request, Code.INTERNAL, NOT_RESCHEDULABLE))
            elif request not in running:
                text = f"model '{self._model_name}' wants to execute a request again that it was not executing any more"
                refused.append(Refusal(request, Code.INTERNAL, text))
            else:
                running[request].again = True
        return refused

    def completed(self, instance: Hashable, now_ns: int) -> list[Refusal[SequencedT]]:
        """An instance has executed its batch."""
        refused: list[Refusal[SequencedT]] = []
        for turn in self._running.pop(instance, ()):
            sequence = turn.sequence
            sequence.busy = False
            if turn.again:
                refused += self._repeat(turn, now_ns)
            elif self._config.iterative_sequence and sequence.state is SequenceState.ACTIVE and not sequence.turns:
                self._close(sequence)
                sequence.take(SequenceEvent.FINISH)
                self._release_if_empty(sequence, now_ns)
            if sequence.slots is not None:
                sequence.slots.offered(sequence, now_ns)
        return refused

    def _repeat(self, turn: Turn[SequencedT], now_ns: int) -> list[Refusal[SequencedT]]:
        sequence = turn.sequence
        if self._open.get(sequence.key) is not sequence:
            return [Refusal(turn.request, Code.INVALID_ARG, self._no_start(sequence.id))]
        self._append(sequence, turn.request, 0, now_ns)
        return []

    def _held(self) -> bool:
        if not self._hold_until or self._config.oldest is not None:
            return False
        behind = sum(len(sequence.turns) for sequence in self._backlog)
        if len(self) - behind < self._hold_until or behind < self._hold_backlog:
            return True
        self._hold_until = 0
        return False

    # -- slots --------------------------------------------------------------------------------------------------------

    def _fill(self, now_ns: int) -> None:
        """Give free slots to who has waited longest; the lowest first, so that sequences spread over instances."""
        while self._backlog:
            free = [
                (index, order, slots)
                for order, slots in enumerate(self._members.values())
                if (index := slots.book.lowest_free) is not None
            ]
            if not free:
                return
            self._assign(self._backlog.popitem(last=False)[0], min(free, key=lambda item: item[:2])[2], now_ns)

    def _assign(self, sequence: Sequence[SequencedT], slots: Slots[SequencedT], now_ns: int) -> None:
        sequence.take(SequenceEvent.ASSIGN)
        sequence.slots = slots
        sequence.index = slots.book.put(sequence)
        sequence.touched_ns = now_ns
        if sequence.state is SequenceState.ACTIVE:
            self._touched[sequence] = None
        slots.offered(sequence, now_ns)

    def _close(self, sequence: Sequence[SequencedT]) -> None:
        """It takes no more requests."""
        self._touched.pop(sequence, None)
        if self._open.get(sequence.key) is sequence:
            del self._open[sequence.key]

    def _release_if_empty(self, sequence: Sequence[SequencedT], now_ns: int) -> None:
        if sequence.state is SequenceState.ENDING and not sequence.turns and sequence.slots is not None:
            sequence.take(SequenceEvent.EMPTY)
            sequence.slots.book.free(sequence.index)
            sequence.slots = None
            self._fill(now_ns)

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def suspended(self) -> bool:
        """Whether time does not count at present."""
        return self._suspended_ns is not None

    def suspend(self, now_ns: int) -> None:
        """Nothing expires until `resume`."""
        self._suspended_ns = now_ns

    def resume(self, now_ns: int) -> None:
        """Time counts again; every sequence may be idle, or wait, so much longer."""
        since_ns, self._suspended_ns = self._suspended_ns, None
        by_ns = 0 if since_ns is None else now_ns - since_ns
        for sequence in self._touched:
            sequence.touched_ns += by_ns
        for sequence in self._backlog:
            if sequence.expires_ns is not None:
                sequence.expires_ns += by_ns
        self._deadlines = [(due_ns + by_ns, serial, sequence) for due_ns, serial, sequence in self._deadlines]

    def expire(self, now_ns: int) -> list[Refusal[SequencedT]]:
        """End what has been idle for too long; the requests that waited too long for a slot are to be refused."""
        refused: list[Refusal[SequencedT]] = []
        if self.suspended:
            return refused
        while (sequence := self._first_deadline()) is not None and self._deadlines[0][0] <= now_ns:
            del self._backlog[sequence]
            self._close(sequence)
            sequence.take(SequenceEvent.EXPIRE)
            while sequence.turns:
                request = self._drop_first(sequence)
                late = Refusal(request, Code.UNAVAILABLE, SEQUENCE_TIMEOUT_EXPIRED, FailureReason.REJECTED)
                refused.append(late)
        while self._touched:
            sequence = next(iter(self._touched))
            if sequence.touched_ns + self._idle_ns > now_ns:
                break
            self._close(sequence)
            sequence.take(SequenceEvent.IDLE)
            self._release_if_empty(sequence, now_ns)
        return refused

    def _first_deadline(self) -> Sequence[SequencedT] | None:
        """The sequence in the backlog whose wait is over first."""
        while self._deadlines:
            expires_ns, _, sequence = self._deadlines[0]
            if sequence in self._backlog and sequence.expires_ns == expires_ns:
                return sequence
            heapq.heappop(self._deadlines)
        return None

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When to look again although nothing arrived and nothing finished; None for never."""
        due = [slots.due_ns for slots in self._members.values() if slots.due_ns is not None]
        if self.suspended:
            return max(now_ns, min(due)) if due else None
        if self._first_deadline() is not None:
            due.append(self._deadlines[0][0])
        if self._touched:
            due.append(next(iter(self._touched)).touched_ns + self._idle_ns)
        return max(now_ns, min(due)) if due else None

    def drain(self) -> list[SequencedT]:
        """Give up on everything that waits, and on all sequences."""
        waiting = list(self._turns)
        for holder in (self._turns, self._open, self._backlog, self._touched, self._deadlines, self._running):
            holder.clear()
        self._members = {instance: self._new_slots() for instance in self._members}
        return waiting
