"""Tests of `jupyter_pyserve.engine.scheduling.dispatcher`: batchers that wait for nothing, and light models."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.unit.engine.scheduling.test_dispatcher import Bench, play


class Turn:
    """What the loop does at the end of its turn, when a test says that it has come."""

    def __init__(self, bench: Bench) -> None:
        self.soon: list[Callable[[], None]] = []
        cast(Any, bench.dispatcher)._loop = SimpleNamespace(call_soon=self.soon.append)

    def end(self) -> None:
        (look,) = self.soon
        self.soon.clear()
        look()


PLAIN = "dynamic_batching { }"
NAMES = [str(number) for number in range(64)]


def test_what_arrives_together_is_executed_together() -> None:
    def scenario(bench: Bench) -> None:
        turn = Turn(bench)
        bench.offer("a", "b", "c")
        assert bench.running() == []
        turn.end()
        assert bench.running() == [["a", "b", "c"]]
        bench.offer("d")
        turn.end()
        bench.instances[0].done()
        bench.dispatcher.pump(0)
        assert bench.running() == [["d"]]

    play(scenario, scheduling=PLAIN)


@pytest.mark.parametrize(
    ("average_ns", "answering", "size"),
    [
        (300_000, 0, 32),  # half of what there is, so that there is work for both
        (300_000, 40, 52),  # the engine has the answers of others
        (300_000, 64, 64),
        (900_000, 0, 64),  # the model needs longer for its batch than the engine does
    ],
)
def test_a_light_model_and_the_engine_work_at_the_same_time(average_ns: float, answering: int, size: int) -> None:
    def scenario(bench: Bench) -> None:
        turn = Turn(bench)
        (instance,) = bench.instances
        instance.average_size = 64.0
        instance.room = 0
        bench.offer(*NAMES)
        assert len(turn.soon) == 1
        instance.room = 1000
        bench.dispatcher.pump(0, answering)
        assert bench.running()[0] == NAMES[:size]

    play(scenario, scheduling=PLAIN, average_ns=average_ns, max_batch_size=64)


def test_a_light_model_begins_while_more_arrives() -> None:
    def scenario(bench: Bench) -> None:
        turn = Turn(bench)
        for end, running in [(15, []), (16, [16]), (31, [16]), (32, [16, 16]), (64, [16, 16])]:
            bench.offer(*NAMES[sum(map(len, bench.running())) + bench.dispatcher.queued : end])
            assert list(map(len, bench.running())) == running
        turn.end()
        assert bench.running() == [NAMES[:16], NAMES[16:32]]
        bench.instances[0].in_flight.pop(0)
        bench.instances[0].outstanding -= 1
        bench.dispatcher.pump(0, 16)
        assert bench.running() == [NAMES[16:32], NAMES[32:56]]

    play(scenario, scheduling=PLAIN, average_ns=5_000, max_batch_size=64)


def test_any_other_model_waits_for_all_of_it() -> None:
    def scenario(bench: Bench) -> None:
        turn = Turn(bench)
        bench.offer(*NAMES)
        assert bench.running() == []
        turn.end()
        assert bench.running() == [NAMES]

    play(scenario, scheduling=PLAIN, average_ns=20_000, max_batch_size=64)


def test_idle_instances_of_a_light_model_come_first() -> None:
    def scenario(bench: Bench) -> None:
        Turn(bench)
        bench.offer(*NAMES)
        assert [bench.running(index)[0] for index in range(2)] == [NAMES[:16], NAMES[16:32]]
        assert [len(bench.running(index)) for index in range(2)] == [2, 2]

    play(scenario, scheduling=PLAIN, count=2, average_ns=5_000, max_batch_size=64)


@pytest.mark.parametrize(
    ("scheduling", "average_ns", "calls_others"),
    [(PLAIN, 20_000, False), (PLAIN, 5_000, True), ("dynamic_batching { preferred_batch_size: [ 2 ] }", 5_000, False)],
)
def test_nothing_else_waits_inside(scheduling: str, average_ns: float, calls_others: bool) -> None:
    def scenario(bench: Bench) -> None:
        Turn(bench)
        bench.instances[0].calls_others = calls_others
        bench.offer("first")
        bench.dispatcher.pump(0)
        bench.offer(*NAMES)
        bench.dispatcher.pump(0)
        assert bench.running() == [["first"]]

    play(scenario, scheduling=scheduling, average_ns=average_ns, max_batch_size=64)


def test_little_is_not_divided() -> None:
    def scenario(bench: Bench) -> None:
        Turn(bench)
        bench.offer(*NAMES[:20])
        bench.dispatcher.pump(0)
        assert bench.running() == [NAMES[:16]]
        bench.instances[0].done()
        bench.dispatcher.pump(0)
        assert bench.running() == [NAMES[16:20]]

    play(scenario, scheduling=PLAIN, average_ns=5_000, max_batch_size=64)


def test_preferred_sizes_are_not_divided() -> None:
    def scenario(bench: Bench) -> None:
        bench.instances[0].average_size = 1000.0
        bench.offer(*NAMES[:59])
        assert bench.running() == []
        bench.offer(NAMES[59])
        assert bench.running() == [NAMES[:60]]

    scheduling = "dynamic_batching { preferred_batch_size: [ 60 ] max_queue_delay_microseconds: 1000000 }"
    play(scenario, scheduling=scheduling, average_ns=50_000, max_batch_size=64)
