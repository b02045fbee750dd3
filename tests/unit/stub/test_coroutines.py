from __future__ import annotations

import asyncio
import gc
import queue
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub.coroutines import EventLoop
from pyserve_stub.session import EngineGone

from tests.unit.stub.peer import started


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    made = EventLoop()
    yield made
    made.stop()
    asyncio.set_event_loop(None)


class Ends:
    """What became of coroutines, in the order of their ends."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def __call__(self, result: Any, fault: BaseException | None) -> None:
        self.queue.put((result, fault))

    def next(self) -> tuple[Any, BaseException | None]:
        return self.queue.get()


async def give(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


def test_a_result_is_waited_for(loop: EventLoop) -> None:
    assert loop.run(give(3)) == 3


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_is_raised_is_raised_here(loop: EventLoop, error: BaseException) -> None:
    with pytest.raises(type(error)):
        loop.run(fail(error))
    assert loop.run(give(1)) == 1


def test_what_a_coroutine_that_failed_has_started_is_not_waited_for(loop: EventLoop) -> None:
    seen: queue.Queue[bool] = queue.Queue()
    failed = threading.Event()

    async def left_behind() -> None:
        await asyncio.to_thread(failed.wait)
        seen.put(loop.is_waited_for())

    async def start_and_fail() -> None:
        tasks.append(asyncio.ensure_future(left_behind()))
        raise ValueError("no")

    tasks: list[asyncio.Future[None]] = []
    with pytest.raises(ValueError, match="no"):
        loop.run(start_and_fail())
    failed.set()
    assert not seen.get()


def test_what_another_thread_waits_for_is_not_what_the_main_one_does(loop: EventLoop) -> None:
    async def whose() -> bool:
        return loop.is_waited_for()

    async def meanwhile() -> tuple[bool, bool]:
        others = await asyncio.to_thread(loop.run_beside, whose())
        return others, loop.is_waited_for()

    assert loop.run(meanwhile()) == (False, True)


def test_the_thread_is_one_and_started_late(loop: EventLoop) -> None:
    def threads() -> int:
        return [thread.name for thread in threading.enumerate()].count("pyserve-asyncio")

    before = threads()
    assert EventLoop()._thread is None
    loop.run(give(1))
    loop.run(give(2))
    assert threads() == before + 1
    loop.stop()
    assert threads() == before


def test_many_run_side_by_side(loop: EventLoop) -> None:
    ends = Ends()

    async def wait() -> int:
        await event.wait()
        return 1

    async def free() -> int:
        event.set()
        return 2

    async def make() -> asyncio.Event:  # until 3.10 an event belonged to the loop that it was made in
        return asyncio.Event()

    event = loop.run(make())
    for _ in range(3):
        loop.spawn(wait(), ends)
    loop.spawn(free(), ends)
    assert [ends.next() for _ in range(4)] == [(2, None)] + [(1, None)] * 3


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_one_raises_is_its_own(loop: EventLoop, error: BaseException) -> None:
    ends = Ends()
    loop.spawn(fail(error), ends)
    assert ends.next() == (None, error)
    loop.spawn(give(4), ends)
    assert ends.next() == (4, None)


def test_a_generator_is_said_to_be_none(loop: EventLoop) -> None:
    def generator() -> Iterator[int]:
        yield 3

    ends = Ends()
    if sys.version_info < (3, 12):
        loop.spawn(generator(), ends)
        assert str(ends.next()[1]) == "Task got bad yield: 3"


def test_the_end_of_the_engine_is_no_fault(loop: EventLoop) -> None:
    told = threading.Event()

    def gone(result: Any, fault: BaseException | None) -> None:
        told.set()
        raise EngineGone

    loop.spawn(give(1), gone)
    assert told.wait(60)
    assert loop.run(give(2)) == 2


def test_stopping_cancels_what_runs(loop: EventLoop) -> None:
    ends = Ends()
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    loop.spawn(wait(), ends)
    begun.wait()
    loop.stop()
    assert isinstance(ends.next()[1], asyncio.CancelledError)
    loop.stop()


def test_stopping_does_not_wait_for_what_blocks(loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyserve_stub.coroutines._STOP_S", 0.0)
    begun, leave = threading.Event(), threading.Event()

    async def block() -> None:
        begun.set()
        leave.wait()

    loop.spawn(block(), Ends())
    begun.wait()
    thread, running = loop._thread, loop._loop
    stopping, _ = started(loop.stop)
    stopping.join()
    leave.set()
    assert thread is not None
    assert running is not None
    thread.join()
    running.close()


def test_what_runs_is_kept_though_nobody_else_knows_it(loop: EventLoop) -> None:
    waited_for: list[weakref.ref[object]] = []

    async def forever() -> None:
        future = asyncio.get_running_loop().create_future()
        waited_for.append(weakref.ref(future))
        await future

    async def collect() -> None:
        gc.collect()

    loop.spawn(forever(), lambda result, fault: None)
    loop.run(collect())
    assert [reference() is not None for reference in waited_for] == [True]
