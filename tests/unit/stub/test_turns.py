from __future__ import annotations

import threading
import time

from pyserve_stub.turns import Turns

from tests.unit.stub.peer import started


def test_one_reads_at_a_time() -> None:
    turns = Turns()
    assert turns.try_take()
    assert not turns.try_take()
    turns.give_up()
    assert turns.take(lambda: False)


def test_what_is_there_need_not_be_waited_for() -> None:
    turns = Turns()
    assert turns.try_take()
    assert not turns.take(lambda: True)


def test_it_may_be_late() -> None:
    turns = Turns()
    assert turns.try_take()
    assert not turns.take(lambda: False, time.monotonic() + 0.001)


def test_who_waits_is_told_when_it_is_there() -> None:
    turns, there, looked = Turns(), threading.Event(), threading.Event()
    assert turns.try_take()

    def done() -> bool:
        looked.set()
        return there.is_set()

    thread, results = started(lambda: turns.take(done))
    looked.wait()
    there.set()
    while thread.is_alive():  # it may not wait yet, and then it looks for itself
        turns.tell()
        thread.join(0.001)
    assert results == [False]


def test_the_turn_goes_on_to_who_waits() -> None:
    turns, order, looked = Turns(), [], threading.Semaphore(0)
    assert turns.try_take()

    def read(number: int) -> None:
        def done() -> bool:
            looked.release()
            return False

        assert turns.take(done)
        order.append(number)
        turns.give_up()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        looked.acquire()
    turns.give_up()
    for thread in threads:
        thread.join()
    assert sorted(order) == list(range(8))
