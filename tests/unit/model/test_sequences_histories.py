"""What holds for sequences whatever happens: random histories of requests, executions, deaths and time."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.scheduling import DirectStrategy, OldestStrategy, SequenceBatching
from jupyter_pyserve.model.sequences import SequenceScheduler
from tests.unit.model.items import Item

START, END = 1, 2
IDLE_US = 50
SIZE = 2
SLOTS = {"direct": 2, "oldest": 3}

CONFIGS = {
    (strategy, iterative): SequenceBatching(
        max_sequence_idle_us=IDLE_US,
        direct=DirectStrategy(max_queue_delay_us=5, minimum_slot_utilization=0.9) if strategy == "direct" else None,
        oldest=OldestStrategy(max_candidate_sequences=3, preferred_batch_size=(2,), max_queue_delay_us=5)
        if strategy == "oldest"
        else None,
        iterative_sequence=iterative,
    )
    for strategy in SLOTS
    for iterative in (False, True)
}


class Histories(RuleBasedStateMachine):
    """Keeps book of every request by itself and compares."""

    @initialize(strategy=st.sampled_from(list(SLOTS)), iterative=st.booleans())
    def begin(self, strategy: str, iterative: bool) -> None:
        self.iterative = iterative
        self.direct = strategy == "direct"
        self.slots = SLOTS[strategy]
        self.scheduler: SequenceScheduler[Item] = SequenceScheduler(
            CONFIGS[strategy, iterative], model_name="m", max_batch_size=SIZE
        )
        self.now_ns = 0
        self.names = count()
        self.instances = count()
        self.alive: set[int] = set()
        self.running: dict[int, list[Item]] = {}
        self.waiting: list[Item] = []
        self.sequences: dict[Item, Any] = {}
        #: Where a sequence that has begun is: instance and position.
        self.places: dict[Any, tuple[int, int]] = {}

    # -- what happens -------------------------------------------------------------------------------------------------

    @rule(
        number=st.integers(0, 5),
        flags=st.sampled_from([0, 0, START, START, END, START | END]),
        timeout_us=st.sampled_from([0, 0, 0, 20]),
        shape_key=st.sampled_from("xxy"),
    )
    def offer(self, number: int, flags: int, timeout_us: int, shape_key: str) -> None:
        item = Item(
            str(next(self.names)), correlation_id=number, flags=flags, timeout_us=timeout_us, shape_key=shape_key
        )
        try:
            self.scheduler.offer(item, self.now_ns)
        except PyServeError:
            assert not flags & START or (not number and not self.iterative)
            return
        self.wait(item)

    def wait(self, item: Item) -> None:
        self.waiting.append(item)
        self.sequences[item] = self.scheduler._turns[item].sequence

    @rule()
    def join(self) -> None:
        if len(self.alive) < 3:
            instance = next(self.instances)
            self.alive.add(instance)
            self.scheduler.join(instance, self.now_ns)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.alive)))
        self.alive.discard(instance)
        self.running.pop(instance, None)
        self.refuse(self.scheduler.leave(instance, "name", self.now_ns))
        self.places = {key: place for key, place in self.places.items() if place[0] != instance}

    @precondition(lambda self: self.alive - set(self.running))
    @rule(data=st.data())
    def execute(self, data: st.DataObject) -> None:
        self.run(data.draw(st.sampled_from(sorted(self.alive - set(self.running)))))

    def run(self, instance: int) -> bool:
        batch = self.scheduler.next_batch(instance, self.now_ns)
        if batch is None:
            return False
        turns = [(index, turn) for index, turn in enumerate(batch) if turn is not None]
        assert turns, "a batch of nothing"
        assert len(batch) <= max(SIZE, self.slots if self.direct else SIZE)
        assert self.direct or len(turns) == len(batch)
        assert len({turn.shape_key for _, turn in turns}) == 1
        for index, turn in turns:
            self.check_order(turn)
            if self.direct:
                self.check_place(instance, index, turn)
            self.waiting.remove(turn.request)
        busy = [turn.sequence for _, turn in turns]
        assert len(set(busy)) == len(busy), "two turns of a sequence at once"
        self.running[instance] = [turn.request for _, turn in turns]
        return True

    def check_order(self, turn: Any) -> None:
        """Nothing of the same sequence came before it."""
        mine = [item for item in self.waiting if self.sequences[item] is turn.sequence]
        assert mine[0] is turn.request

    def check_place(self, instance: int, index: int, turn: Any) -> None:
        place = self.places.setdefault(turn.sequence, (instance, index))
        assert place == (instance, index), "a sequence has moved"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.running)))
        done = self.running.pop(instance)
        again = [item for item in done if data.draw(st.booleans())] if self.iterative else []
        assert self.scheduler.reschedule(instance, again) == []
        refused = self.scheduler.completed(instance, self.now_ns)
        for item in again:
            if item not in {other for other, _, _, _ in refused}:
                self.wait(item)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.waiting))
        dropped = self.scheduler.cancel(item, self.now_ns)
        assert item in dropped
        assert {self.sequences[other] for other in dropped} == {self.sequences[item]}
        for other in dropped:
            self.waiting.remove(other)

    @rule(us=st.integers(0, 30))
    def let_time_pass(self, us: int) -> None:
        self.now_ns += us * 1000
        self.expire()

    def expire(self) -> None:
        refused = self.scheduler.expire(self.now_ns)
        assert all(item.timeout_us or any(other.timeout_us for other, _, _, _ in refused) for item, _, _, _ in refused)
        self.refuse(refused)

    def refuse(self, refused: Any) -> None:
        for item, _, text, _ in refused:
            assert text
            self.waiting.remove(item)

    # -- what holds ---------------------------------------------------------------------------------------------------

    @invariant()
    def everything_that_waits_is_known(self) -> None:
        assert len(self.scheduler) == len(self.waiting)
        assert set(self.scheduler._turns) == set(self.waiting)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        taken = [len(slots.book.taken) for slots in self.scheduler._members.values()]
        assert all(number <= self.slots for number in taken)
        assert not self.scheduler._backlog or sum(taken) == self.slots * len(taken)

    @invariant()
    def it_is_never_asked_too_late(self) -> None:
        due_ns = self.scheduler.next_wakeup_ns(self.now_ns)
        assert due_ns is None or due_ns >= self.now_ns

    def teardown(self) -> None:
        """Whatever was left runs once there is an instance; and when all is idle nothing is kept."""
        if not hasattr(self, "scheduler"):
            return
        for _ in range(1000):
            self.join()
            for instance in list(self.running):
                del self.running[instance]
                self.refuse(self.scheduler.completed(instance, self.now_ns))
            for instance in sorted(self.alive):
                self.run(instance)
            due_ns = self.scheduler.next_wakeup_ns(self.now_ns)
            if due_ns is None and not self.running:
                break
            self.now_ns = max(self.now_ns, due_ns or 0)
            self.expire()
        assert self.waiting == []
        scheduler = self.scheduler
        assert not any((scheduler._turns, scheduler._open, scheduler._backlog, scheduler._touched))
        assert not any(slots.book.taken for slots in scheduler._members.values())


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
