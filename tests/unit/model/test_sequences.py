"""Which sequence runs where, in tables; what holds whatever happens is in `test_sequences_histories`."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.scheduling import DirectStrategy, OldestStrategy, SequenceBatching
from jupyter_pyserve.model.sequences import NOT_RESCHEDULABLE, SEQUENCE_TIMEOUT_EXPIRED, SequenceScheduler
from jupyter_pyserve.model.statistics import FailureReason
from tests.unit.model.items import Item

START, END = 1, 2
US = 1000
IDLE_NS = 1_000_000 * US

NO_START = (
    "inference request for sequence {} to model 'm' must specify the START flag on the first request of the sequence"
)
DIRECT = SequenceBatching(direct=DirectStrategy())
OLDEST = SequenceBatching(oldest=OldestStrategy(max_candidate_sequences=2, preferred_batch_size=(4,)))
ITERATIVE = SequenceBatching(iterative_sequence=True)


class Bench:
    """A scheduler with instances "a", "b", …; batches are shown as lists of request names, null requests as "-"."""

    def __init__(self, config: SequenceBatching = DIRECT, *, size: int = 2, instances: str = "a", **holds: int) -> None:
        self.now_ns = 0
        self.items: dict[str, Item] = {}
        self.scheduler: SequenceScheduler[Item] = SequenceScheduler(
            config, model_name="m", max_batch_size=size, **holds
        )
        for name in instances:
            self.scheduler.join(name, 0)

    def offer(self, name: str, correlation_id: int | str = 0, flags: int = 0, **facts: Any) -> Item:
        item = self.items[name] = Item(name, correlation_id=correlation_id, flags=flags, **facts)
        self.scheduler.offer(item, self.now_ns)
        return item

    def batch(self, instance: str = "a") -> list[str] | None:
        batch = self.scheduler.next_batch(instance, self.now_ns)
        return None if batch is None else [turn.request.id if turn is not None else "-" for turn in batch]

    def run(self, instance: str = "a") -> list[list[str]]:
        """All batches that the instance can execute, each completed before the next."""
        batches = []
        while (batch := self.batch(instance)) is not None:
            batches.append(batch)
            assert self.done(instance) == []
        return batches

    def done(self, instance: str = "a", *again: str) -> list[tuple[str, Code, str]]:
        wanted = [self.items[name] for name in again]
        refused = self.scheduler.reschedule(instance, wanted) + self.scheduler.completed(instance, self.now_ns)
        return [(item.id, code, text) for item, code, text, _ in refused]

    def expire(self) -> list[tuple[str, Code, str]]:
        return [(item.id, code, text) for item, code, text, _ in self.scheduler.expire(self.now_ns)]

    def leave(self, instance: str = "a") -> list[tuple[str, Code, str]]:
        refused = self.scheduler.leave(instance, f"m_{instance}", self.now_ns)
        return [(item.id, code, text) for item, code, text, _ in refused]

    def cancel(self, name: str) -> list[str]:
        return [item.id for item in self.scheduler.cancel(self.items[name], self.now_ns)]


def refused(bench: Bench, *facts: Any, **more: Any) -> tuple[Code, str]:
    with pytest.raises(PyServeError) as caught:
        bench.offer("refused", *facts, **more)
    return caught.value.code, caught.value.message


# -- what is refused at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"batch_size": 2}, "inference request to model 'm' must specify batch-size 1 due to requirements of sequence"),
        ({}, "inference request to model 'm' must specify a non-zero or non-empty correlation ID"),
        ({"correlation_id": ""}, "inference request to model 'm' must specify a non-zero or non-empty correlation ID"),
        ({"correlation_id": 5}, NO_START.format(5)),
        ({"correlation_id": "five", "flags": END}, NO_START.format("five")),
    ],
    ids=["batch before all else", "no id", "empty id", "no start", "no start but an end"],
)
def test_a_request_that_belongs_to_no_sequence_is_refused(facts: dict[str, Any], text: str) -> None:
    code, message = refused(Bench(), **facts)
    assert code is Code.INVALID_ARG
    assert message.startswith(text)


def test_an_ended_sequence_takes_no_more() -> None:
    bench = Bench()
    bench.offer("s", 5, START | END)
    assert refused(bench, 5) == (Code.INVALID_ARG, NO_START.format(5))


def test_a_number_and_its_text_are_two_ids() -> None:
    bench = Bench()
    bench.offer("s", 5, START)
    assert refused(bench, "5") == (Code.INVALID_ARG, NO_START.format("5"))


# -- direct -----------------------------------------------------------------------------------------------------------


def test_a_slot_is_a_position_and_what_has_nothing_to_execute_is_null() -> None:
    bench = Bench(size=4)
    bench.offer("a1", 1, START)
    bench.offer("b1", 2, START)
    assert bench.run() == [["a1", "b1"]]
    bench.offer("b2", 2)
    assert bench.run() == [["-", "b2"]]
    bench.offer("a2", 1)
    assert bench.run() == [["a2"]]


def test_requests_of_a_sequence_run_one_after_the_other() -> None:
    bench = Bench()
    for name, flags in (("1", START), ("2", 0), ("3", END)):
        bench.offer(name, 7, flags)
    assert bench.run() == [["1"], ["2"], ["3"]]


def test_an_end_frees_the_slot_for_the_backlog_at_dispatch() -> None:
    bench = Bench(size=1)
    bench.offer("a1", 1, START)
    bench.offer("b1", 2, START)
    bench.offer("c1", 3, START | END)
    bench.offer("b2", 2, END)
    assert bench.run() == [["a1"]]
    bench.offer("a2", 1, END)
    assert bench.batch() == ["a2"]
    bench.done()
    assert bench.run() == [["b1"], ["b2"], ["c1"]]
    assert len(bench.scheduler) == 0


def test_sequences_spread_over_instances_before_they_fill_one() -> None:
    bench = Bench(size=2, instances="ab")
    for number in range(1, 5):
        bench.offer(str(number), number, START)
    assert (bench.run("a"), bench.run("b")) == ([["1", "3"]], [["2", "4"]])


def test_a_sequence_begun_again_stays_where_it_is() -> None:
    bench = Bench()
    bench.offer("a", 1, START)
    assert not bench.scheduler.interrupts(Item(correlation_id=2, flags=START))
    assert not bench.scheduler.interrupts(Item(correlation_id=1))
    assert bench.scheduler.interrupts(Item(correlation_id=1, flags=START))
    bench.offer("b", 2, START)
    bench.run()
    bench.offer("b again", 2, START)
    assert bench.run() == [["-", "b again"]]


def test_other_shapes_wait_for_another_batch() -> None:
    bench = Bench(size=4)
    for name, key in (("1", "x"), ("2", "y"), ("3", "x"), ("4", "y")):
        bench.offer(name, int(name), START, shape_key=key)
    assert bench.run() == [["1", "-", "3", "-"], ["-", "2", "-", "4"]]


@pytest.mark.parametrize(
    ("delay_us", "utilization", "waits"),
    [(0, 0.0, 0), (0, 1.0, 0), (1000, 0.0, 0), (1000, 0.5, 1), (1000, 0.75, 2), (1000, 1.0, 3)],
)
def test_a_batch_waits_until_enough_slots_are_used(delay_us: int, utilization: float, waits: int) -> None:
    strategy = DirectStrategy(max_queue_delay_us=delay_us, minimum_slot_utilization=utilization)
    bench = Bench(SequenceBatching(direct=strategy), size=4)
    for number in range(waits):
        bench.offer(str(number), number + 1, START)
        assert bench.batch() is None
    bench.offer(str(waits), waits + 1, START)
    assert bench.batch() == [str(number) for number in range(waits + 1)]


def test_a_utilization_that_is_no_round_number_is_met_exactly() -> None:
    written = 0.30000001192092896  # 0.3 as a configuration keeps it
    strategy = DirectStrategy(max_queue_delay_us=1000, minimum_slot_utilization=written)
    bench = Bench(SequenceBatching(direct=strategy), size=10)
    for number in (1, 2, 3):
        bench.offer(str(number), number, START)
    assert bench.batch() == ["1", "2", "3"]


def test_a_batch_waits_no_longer_than_its_oldest_may() -> None:
    strategy = DirectStrategy(max_queue_delay_us=1000, minimum_slot_utilization=1.0)
    bench = Bench(SequenceBatching(direct=strategy), size=4)
    bench.offer("1", 1, START)
    bench.now_ns = 400 * US
    bench.offer("2", 2, START)
    assert bench.batch() is None
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == 1000 * US
    bench.now_ns = 1000 * US
    assert bench.batch() == ["1", "2"]
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == IDLE_NS


def test_everything_can_be_held_until_so_many_wait() -> None:
    bench = Bench(size=1, hold_until=2, hold_backlog=1)
    bench.offer("a1", 1, START)
    bench.offer("a2", 1)
    assert bench.batch() is None
    bench.offer("b1", 2, START)
    assert bench.batch() == ["a1"]
    bench.done()
    assert bench.batch() == ["a2"]


# -- oldest -----------------------------------------------------------------------------------------------------------


def test_oldest_batches_one_turn_of_each_candidate() -> None:
    bench = Bench(OLDEST, size=4)
    bench.offer("a1", 1, START)
    bench.offer("a2", 1)
    bench.offer("b1", 2, START)
    bench.offer("c1", 3, START)
    assert bench.batch() == ["a1", "b1"]
    bench.offer("b2", 2, END)
    assert bench.batch() is None
    bench.done()
    # The end of b frees its place among the candidates.
    assert bench.run() == [["a2", "b2"], ["c1"]]


def test_oldest_waits_for_a_preferred_size() -> None:
    strategy = OldestStrategy(max_candidate_sequences=8, preferred_batch_size=(2,), max_queue_delay_us=1000)
    bench = Bench(SequenceBatching(oldest=strategy), size=4)
    bench.offer("a", 1, START)
    assert bench.batch() is None
    assert bench.scheduler.next_wakeup_ns(0) == 1000 * US
    bench.offer("b", 2, START)
    assert bench.batch() == ["a", "b"]


@pytest.mark.parametrize("most", [0, -4])
def test_oldest_has_as_many_candidates_as_a_batch_when_nothing_is_said(most: int) -> None:
    strategy = OldestStrategy(max_candidate_sequences=most, preferred_batch_size=(2,))
    bench = Bench(SequenceBatching(oldest=strategy), size=2)
    for number in (1, 2, 3):
        bench.offer(str(number), number, START)
    assert bench.run() == [["1", "2"]]
    assert len(bench.scheduler) == 1


def test_very_many_candidates_take_no_memory() -> None:
    strategy = OldestStrategy(max_candidate_sequences=2**31 - 1, preferred_batch_size=(4,))
    bench = Bench(SequenceBatching(oldest=strategy), size=4)
    bench.offer("a", 1, START)
    assert bench.run() == [["a"]]


def test_oldest_can_be_held_too() -> None:
    bench = Bench(OLDEST, size=4, hold_until=2)
    bench.offer("a", 1, START)
    assert bench.batch() is None
    bench.offer("b", 2, START)
    assert bench.batch() == ["a", "b"]


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_sequence_that_is_idle_for_too_long_ends() -> None:
    bench = Bench(size=1)
    bench.offer("a1", 1, START)
    bench.run()
    bench.now_ns = IDLE_NS // 2
    bench.offer("a2", 1)
    bench.run()
    bench.offer("b", 2, START)
    bench.now_ns = IDLE_NS
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == IDLE_NS * 3 // 2
    assert bench.expire() == []
    bench.now_ns = IDLE_NS * 3 // 2
    assert bench.expire() == []
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))
    assert bench.run() == [["b"]]


def test_nothing_ends_while_time_is_suspended_and_then_later() -> None:
    bench = Bench(size=1)
    bench.offer("x", 1, START)
    bench.run()
    bench.offer("y", 2, START, timeout_us=10)
    bench.scheduler.suspend(5 * US)
    bench.now_ns = 5 * US + 2 * IDLE_NS
    assert bench.scheduler.suspended
    assert bench.expire() == []
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) is None
    bench.scheduler.resume(bench.now_ns)
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == bench.now_ns + 5 * US
    bench.now_ns += 5 * US
    assert bench.expire() == [("y", Code.UNAVAILABLE, SEQUENCE_TIMEOUT_EXPIRED)]
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == 3 * IDLE_NS
    bench.now_ns = 3 * IDLE_NS
    bench.expire()
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))


def test_idleness_counts_from_the_last_request_of_each() -> None:
    bench = Bench(size=2)
    bench.offer("a1", 1, START)
    bench.offer("b1", 2, START)
    bench.now_ns = IDLE_NS // 2
    bench.offer("a2", 1)
    bench.now_ns = IDLE_NS
    bench.expire()
    assert refused(bench, 2) == (Code.INVALID_ARG, NO_START.format(2))
    bench.offer("a3", 1)


def test_what_an_idle_sequence_has_still_runs() -> None:
    bench = Bench(size=1)
    bench.offer("a1", 1, START)
    bench.offer("a2", 1)
    bench.now_ns = IDLE_NS
    bench.expire()
    bench.offer("b", 2, START)
    assert bench.run() == [["a1"], ["a2"], ["b"]]


def test_waiting_for_a_slot_is_not_idleness() -> None:
    bench = Bench(size=1)
    bench.offer("a", 1, START)
    bench.offer("b1", 2, START)
    bench.run()
    bench.now_ns = 10 * IDLE_NS
    bench.expire()  # a is over, and b begins here
    bench.offer("b2", 2)
    assert bench.run() == [["b1"], ["b2"]]


def test_the_shortest_timeout_bounds_the_wait_of_a_sequence() -> None:
    bench = Bench(size=1)
    bench.offer("a", 1, START)
    bench.offer("b1", 2, START)
    bench.offer("b2", 2, timeout_us=300)
    bench.offer("b3", 2, timeout_us=500)
    bench.offer("c", 3, START | END, timeout_us=400)
    bench.run()
    assert bench.scheduler.next_wakeup_ns(0) == 300 * US
    bench.now_ns = 300 * US
    late = (Code.UNAVAILABLE, SEQUENCE_TIMEOUT_EXPIRED)
    assert bench.expire() == [("b1", *late), ("b2", *late), ("b3", *late)]
    assert refused(bench, 2) == (Code.INVALID_ARG, NO_START.format(2))
    bench.now_ns = 400 * US
    assert [refusal.reason for refusal in bench.scheduler.expire(bench.now_ns)] == [FailureReason.REJECTED]
    assert len(bench.scheduler) == 0


def test_a_timeout_has_no_effect_once_a_sequence_has_a_slot() -> None:
    bench = Bench(size=1)
    bench.offer("a", 1, START, timeout_us=1)
    bench.now_ns = IDLE_NS // 2
    assert bench.expire() == []
    assert bench.run() == [["a"]]


# -- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [DIRECT, OLDEST], ids=["direct", "oldest"])
def test_cancelling_a_request_ends_its_sequence(config: SequenceBatching) -> None:
    bench = Bench(config)
    for name, flags in (("1", START), ("2", 0), ("3", 0), ("4", 0)):
        bench.offer(name, 7, flags)
    assert bench.cancel("3") == ["3", "4"]
    assert bench.cancel("3") == []
    assert refused(bench, 7) == (Code.INVALID_ARG, NO_START.format(7))
    assert bench.run() == [["1"], ["2"]]
    assert bench.cancel("1") == []


@pytest.mark.parametrize("config", [DIRECT, OLDEST], ids=["direct", "oldest"])
def test_cancelling_the_first_frees_the_slot(config: SequenceBatching) -> None:
    bench = Bench(config)
    for name, number in (("a", 1), ("b", 2), ("c", 3)):
        bench.offer(name, number, START)
    assert bench.cancel("b") == ["b"]
    assert bench.run() == [["a", "c"]]


def test_a_cancelled_sequence_leaves_the_backlog_as_a_whole() -> None:
    bench = Bench(size=1)
    bench.offer("a", 1, START | END)
    bench.offer("b1", 2, START)
    bench.offer("b2", 2, END)
    assert bench.cancel("b2") == ["b1", "b2"]
    assert bench.run() == [["a"]]


# -- instances that come and go ---------------------------------------------------------------------------------------


def lost(number: int, instance: str = "a") -> str:
    return (
        f"sequence {number} of model 'm' was lost when the process of instance 'm_{instance}' ended; it has to be "
        "begun again with the START flag"
    )


def test_sequences_are_lost_with_their_instance() -> None:
    bench = Bench(size=2)
    bench.offer("a1", 1, START)
    bench.offer("b1", 2, START | END)
    bench.offer("a2", 1)
    assert bench.batch() == ["a1", "b1"]
    assert bench.leave() == [("a2", Code.UNAVAILABLE, lost(1))]
    assert refused(bench, 1) == (Code.UNAVAILABLE, lost(1))
    assert refused(bench, 2) == (Code.INVALID_ARG, NO_START.format(2))
    bench.scheduler.join("new", 0)
    bench.offer("again", 1, START)
    bench.offer("and on", 1)
    assert bench.run("new") == [["again"], ["and on"]]


@pytest.mark.parametrize("config", [DIRECT, OLDEST], ids=["direct", "oldest"])
def test_what_a_lost_instance_had_not_begun_runs_elsewhere(config: SequenceBatching) -> None:
    bench = Bench(config, size=2, instances="a")
    bench.offer("a1", 1, START)
    assert bench.batch() == ["a1"]
    bench.offer("a2", 1)
    bench.offer("b1", 2, START)
    bench.offer("c1", 3, START)
    bench.offer("a3", 1, START | END)
    assert bench.leave() == [("a2", Code.UNAVAILABLE, lost(1))]
    bench.scheduler.join("b", 0)
    assert bench.run("b") == [["a3", "b1"], ["c1"]]


@pytest.mark.parametrize("config", [DIRECT, OLDEST], ids=["direct", "oldest"])
def test_an_instance_that_is_to_leave_keeps_its_sequences_and_gets_no_others(config: SequenceBatching) -> None:
    bench = Bench(config, size=1, instances="a")
    bench.offer("a1", 1, START)
    bench.scheduler.retire("a")
    bench.offer("b1", 2, START | END)
    bench.offer("a2", 1)
    assert bench.run() == [["a1"], ["a2"]]
    assert not bench.scheduler.is_vacant("a")
    bench.offer("a3", 1, END)
    assert bench.run() == [["a3"]]
    assert bench.scheduler.is_vacant("a")
    assert bench.leave() == []
    bench.scheduler.join("b", 0)
    assert bench.run("b") == [["b1"]]


def test_sequences_wait_for_an_instance() -> None:
    bench = Bench(instances="")
    bench.offer("a", 1, START)
    bench.offer("b", 2, START, timeout_us=1)
    bench.scheduler.join("a", 0)
    bench.now_ns = US
    assert bench.expire() == []
    assert bench.run() == [["a", "b"]]


def test_a_request_that_returns_to_the_backlog_has_its_timeout_again() -> None:
    bench = Bench(size=1)
    bench.offer("a", 1, START, timeout_us=5)
    bench.now_ns = 100 * US
    assert bench.leave() == []
    assert bench.scheduler.next_wakeup_ns(bench.now_ns) == 105 * US
    bench.now_ns = 105 * US
    assert bench.expire() == [("a", Code.UNAVAILABLE, SEQUENCE_TIMEOUT_EXPIRED)]


def test_lost_sequences_are_not_remembered_for_ever() -> None:
    strategy = OldestStrategy(max_candidate_sequences=2000, preferred_batch_size=(4000,))
    bench = Bench(SequenceBatching(oldest=strategy), size=4000)
    for number in range(1, 2001):
        bench.offer(str(number), number, START)
    bench.run()
    bench.leave()
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))
    assert refused(bench, 2000) == (Code.UNAVAILABLE, lost(2000))


def test_draining_gives_everything_back() -> None:
    bench = Bench(size=1)
    for number in (1, 2):
        bench.offer(f"{number}", number, START)
    bench.offer("3", 1)
    assert [item.id for item in bench.scheduler.drain()] == ["1", "2", "3"]
    assert len(bench.scheduler) == 0
    assert bench.scheduler.next_wakeup_ns(0) is None
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))
    bench.offer("4", 1, START)
    assert bench.run() == [["4"]]


# -- iterative --------------------------------------------------------------------------------------------------------


def test_a_rescheduled_request_comes_again_without_flags() -> None:
    bench = Bench(ITERATIVE)
    item = bench.offer("x", flags=END)
    shown = []
    for again in (True, True, False):
        batch = bench.scheduler.next_batch("a", 0)
        assert batch is not None
        assert batch[0] is not None
        shown.append((batch[0].sequence.id, batch[0].flags))
        assert bench.done("a", *(["x"] if again else [])) == []
    assert shown == [(1, START), (1, 0), (1, 0)]
    assert item.flags == END
    assert bench.batch() is None
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))


def test_requests_without_an_id_are_sequences_of_their_own() -> None:
    bench = Bench(ITERATIVE, size=2)
    bench.offer("mine", 2, START)
    for name in "xyz":
        bench.offer(name)
    batch = bench.scheduler.next_batch("a", 0)
    assert batch is not None
    assert [turn and (turn.request.id, turn.sequence.id) for turn in batch] == [("mine", 2), ("x", 1)]
    assert bench.done("a", "x") == []
    assert bench.batch() == ["y", "x"]
    bench.done("a")
    assert bench.run() == [["z"]]


def test_an_idle_end_comes_between_two_executions() -> None:
    bench = Bench(ITERATIVE)
    bench.offer("x")
    bench.batch()
    bench.now_ns = IDLE_NS
    bench.expire()
    assert bench.done("a", "x") == [("x", Code.INVALID_ARG, NO_START.format(1))]


def test_a_request_with_an_end_cannot_come_again() -> None:
    bench = Bench(ITERATIVE)
    bench.offer("x", 9, START | END)
    bench.batch()
    assert bench.done("a", "x") == [("x", Code.INVALID_ARG, NO_START.format(9))]


@pytest.mark.parametrize("config", [DIRECT, OLDEST], ids=["direct", "oldest"])
def test_other_models_cannot_reschedule(config: SequenceBatching) -> None:
    bench = Bench(config)
    bench.offer("x", 9, START)
    bench.batch()
    assert bench.done("a", "x") == [("x", Code.INTERNAL, NOT_RESCHEDULABLE)]


def test_requests_behind_a_finished_one_still_run() -> None:
    bench = Bench(ITERATIVE, size=1)
    bench.offer("x", 9, START)
    bench.offer("y", 9)
    assert bench.batch() == ["x"]
    bench.done()
    assert bench.run() == [["y"]]
    assert refused(bench, 9) == (Code.INVALID_ARG, NO_START.format(9))


def test_what_is_not_executing_any_more_cannot_come_again() -> None:
    bench = Bench(ITERATIVE)
    bench.offer("x")
    bench.batch()
    assert bench.leave() == []
    text = "model 'm' wants to execute a request again that it was not executing any more"
    assert bench.done("a", "x") == [("x", Code.INTERNAL, text)]
    bench.scheduler.join("b", 0)
    bench.offer("y")
    assert bench.run("b") == [["y"]]


def test_nobody_joins_a_sequence_whose_id_was_made_up() -> None:
    bench = Bench(ITERATIVE, size=2)
    bench.offer("x")
    assert refused(bench, 1) == (Code.INVALID_ARG, NO_START.format(1))
    bench.offer("mine", 1, START)
    assert bench.run() == [["x", "mine"]]
