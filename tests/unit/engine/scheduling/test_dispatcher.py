from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.scheduling.dispatcher import Dispatcher
from jupyter_pyserve.model.config import ModelConfig, parse_pbtxt
from jupyter_pyserve.model.lifecycle import StubState

BATCHING = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 1000000 }"
SECOND = 1_000_000_000


class Instance:
    """A stub that keeps what it was given until it is told to be done."""

    def __init__(self, average_ns: float = SECOND) -> None:
        self.state = StubState.READY
        self.in_flight: list[list[Job]] = []
        self.outstanding = 0
        self.calls_others = False
        self.average_ns = average_ns
        self.average_size = 1.0
        self.room = 1000

    def execute(self, batches: list[list[Job]], now_ns: int) -> None:
        self.in_flight += batches
        self.outstanding += 1
        self.state = StubState.BUSY

    def done(self) -> None:
        self.in_flight.clear()
        self.outstanding = 0
        self.state = StubState.READY


@dataclasses.dataclass
class Bench:
    """A dispatcher with its instances."""

    dispatcher: Dispatcher
    instances: list[Instance]
    expired: list[Job]

    def offer(self, *names: str, now_ns: int = 0) -> None:
        for name in names:
            self.dispatcher.offer(job(name), now_ns)

    def running(self, index: int = 0) -> list[list[str]]:
        return [[item.id for item in batch] for batch in self.instances[index].in_flight]


@dataclasses.dataclass(eq=False)
class Queued:
    """What schedulers read of a job."""

    id: str
    batch_size: int = 1
    shape_key: int = 0
    priority: int = 0
    timeout_us: int = 0
    enqueue_ns: int = 0


def job(name: str) -> Job:
    return cast(Job, Queued(name))


def config(scheduling: str = "", max_batch_size: int = 8) -> ModelConfig:
    text = f'backend: "python" max_batch_size: {max_batch_size} {scheduling}'
    return parse_pbtxt(text, model_name="m", path="config.pbtxt")


def play(
    scenario: Callable[[Bench], None],
    *,
    scheduling: str = "",
    count: int = 1,
    average_ns: float = SECOND,
    max_batch_size: int = 8,
) -> None:
    async def run() -> None:
        instances = [Instance(average_ns) for _ in range(count)]
        expired: list[Job] = []
        dispatcher = Dispatcher(config(scheduling, max_batch_size), cast(Any, instances), expired.append)
        scenario(Bench(dispatcher, instances, expired))
        dispatcher.close()

    asyncio.run(run())


def test_an_idle_instance_gets_work_at_once() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a")
        assert bench.running() == [["a"]]
        assert not bench.dispatcher.waiting

    play(scenario)


def test_work_waits_for_an_instance_in_order() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b", "c")
        assert (bench.running(), bench.dispatcher.waiting) == ([["a"]], True)
        bench.instances[0].done()
        bench.dispatcher.pump(0)
        assert bench.running() == [["b"]]

    play(scenario)


def test_nothing_expires_while_timeouts_are_suspended() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b")
        bench.dispatcher.suspend_timeouts(True, 0)
        bench.dispatcher.pump(SECOND)
        assert bench.expired == []
        bench.dispatcher.suspend_timeouts(False, SECOND)
        assert bench.expired == [], "it waits on from where it was"
        bench.dispatcher.pump(2 * SECOND)
        assert [item.id for item in bench.expired] == ["b"]

    play(scenario, scheduling="dynamic_batching { default_queue_policy { default_timeout_microseconds: 1000 } }")


def test_all_instances_work() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b")
        assert [bench.running(0), bench.running(1)] == [[["a"]], [["b"]]]

    play(scenario, count=2)


@pytest.mark.parametrize("state", [StubState.LOADING, StubState.DRAINING, StubState.FAILED])
def test_only_instances_that_can_work_get_work(state: StubState) -> None:
    def scenario(bench: Bench) -> None:
        bench.instances[0].state = state
        bench.offer("a", "b")
        assert (bench.running(0), bench.running(1)) == ([], [["a"]])

    play(scenario, count=2)


def test_a_fast_instance_never_idles() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b", "c")
        assert bench.running() == [["a"], ["b"]]
        assert bench.dispatcher.waiting

    play(scenario, average_ns=50_000)


def test_an_idle_instance_comes_before_a_fast_one() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b")
        assert [bench.running(0), bench.running(1)] == [[["a"]], [["b"]]]

    play(scenario, count=2, average_ns=50_000)


def test_a_batcher_waits_for_company() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b", "c")
        assert bench.running() == []
        bench.offer("d")
        assert bench.running() == [["a", "b", "c", "d"]]

    play(scenario, scheduling=BATCHING)


def test_a_batcher_waits_no_longer_than_allowed() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a")
        bench.dispatcher.pump(SECOND // 2)
        assert bench.running() == []
        bench.dispatcher.pump(SECOND + 1)
        assert bench.running() == [["a"]]

    play(scenario, scheduling=BATCHING)


def test_a_batcher_gives_nothing_to_a_busy_instance_however_fast() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer(*"abcdefgh")
        assert bench.running() == [["a", "b", "c", "d"]]

    play(scenario, scheduling=BATCHING, average_ns=50_000)


def test_cancelling_takes_out_what_waits_only() -> None:
    def scenario(bench: Bench) -> None:
        running, waiting = job("running"), job("waiting")
        bench.dispatcher.offer(running, 0)
        bench.dispatcher.offer(waiting, 0)
        assert not bench.dispatcher.cancel(running)
        assert bench.dispatcher.cancel(waiting)
        assert not bench.dispatcher.cancel(waiting)
        assert not bench.dispatcher.waiting

    play(scenario)


def test_what_a_dead_stub_had_not_started_goes_first_in_its_order() -> None:
    def scenario(bench: Bench) -> None:
        bench.instances[0].state = StubState.FAILED
        bench.offer("z")
        bench.dispatcher.put_back([[job("a")], [], [job("b")]])
        assert bench.dispatcher.queued == 3
        bench.instances[0].done()
        started = []
        while bench.dispatcher.waiting:
            bench.dispatcher.pump(0)
            started += bench.running()
            bench.instances[0].done()
        assert started == [["a"], ["b"], ["z"]]

    play(scenario)


def test_what_was_put_back_can_be_cancelled() -> None:
    def scenario(bench: Bench) -> None:
        bench.instances[0].state = StubState.FAILED
        gone = job("gone")
        bench.dispatcher.put_back([[gone]])
        assert bench.dispatcher.cancel(gone)
        bench.instances[0].done()
        bench.dispatcher.pump(0)
        assert bench.running() == []

    play(scenario)


def test_draining_takes_everything_that_waits() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", "b", "c")
        bench.dispatcher.put_back([[job("back")]])
        assert [item.id for item in bench.dispatcher.drain()] == ["back", "b", "c"]
        assert not bench.dispatcher.waiting

    play(scenario)


def test_what_waits_too_long_expires() -> None:
    policy = "default_queue_policy { default_timeout_microseconds: 1000 }"

    def scenario(bench: Bench) -> None:
        bench.instances[0].state = StubState.LOADING
        bench.offer("a")
        bench.dispatcher.pump(2_000_000)
        assert [item.id for item in bench.expired] == ["a"]
        assert not bench.dispatcher.waiting

    play(scenario, scheduling=f"dynamic_batching {{ {policy} }}")


class Clock:
    """The loop's timers, driven by hand."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, work: Callable[[], None]) -> Any:
        timer = (delay_s, work)
        self.due.append(timer)
        return SimpleNamespace(cancel=lambda: self.due.remove(timer) if timer in self.due else None)


def test_a_busy_model_looks_again_at_the_moment_of_each_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = "default_queue_policy { default_timeout_microseconds: 5000 allow_timeout_override: true }"
    now_ns = 0
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)

    def scenario(bench: Bench) -> None:
        nonlocal now_ns
        clock = Clock()
        cast(Any, bench.dispatcher)._loop = clock
        bench.offer("running")
        for name, timeout_us, at_ns in (("late", 0, 1_000_000), ("early", 1_500, 2_000_000)):
            queued = job(name)
            cast(Any, queued).timeout_us = timeout_us
            cast(Any, queued).enqueue_ns = at_ns
            bench.dispatcher.offer(queued, at_ns)
        seen: list[tuple[float, list[str]]] = []
        now_ns = 2_000_000
        while clock.due:
            ((delay_s, work),) = clock.due
            clock.due.clear()
            now_ns += round(delay_s * 1e9)
            work()
            seen.append((now_ns / 1e6, [item.id for item in bench.expired]))
        assert seen == [(3.5, ["early"]), (6.0, ["early", "late"])]
        assert bench.running() == [["running"]]

    play(scenario, scheduling=f"dynamic_batching {{ {policy} }}")
