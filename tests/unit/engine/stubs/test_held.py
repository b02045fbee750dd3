from __future__ import annotations

import dataclasses
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.stubs.held import Held


@dataclasses.dataclass(frozen=True)
class Named:
    """All that the book-keeping reads of a request."""

    key: int


def batch(*keys: int) -> list[Job]:
    return [cast(Job, Named(key)) for key in keys]


def keys(jobs: list[Job]) -> list[int]:
    return [job.key for job in jobs]


def over(held: Held, *of: int) -> list[int]:
    """`execute` is over; the requests among these are answered now."""
    held.executed(list(of))
    parts, _ = held.over(of[0])
    assert parts is None
    return list(of)


def test_a_plain_batch_comes_and_goes() -> None:
    held = Held()
    assert not held
    held.in_flight += [batch(1, 2), batch(3)]
    assert keys(held.executed([1, 2])) == [1, 2]
    assert held.over(1) == (None, True)
    assert keys(held.executed([3])) == [3]
    assert held
    held.over(3)
    assert not held


@pytest.mark.parametrize("answered", [[], [2], [1], [2, 1], [1, 2, 3]])
def test_an_answer_to_others_is_refused(answered: list[int]) -> None:
    held = Held()
    held.in_flight.append(batch(1, 2))
    with pytest.raises(WireError):
        held.executed(answered)


def test_an_answer_to_nothing_is_refused() -> None:
    with pytest.raises(WireError, match="an answer to nothing"):
        Held().executed([1])


def test_only_the_head_of_the_queue_can_be_answered() -> None:
    held = Held()
    held.in_flight += [batch(1), batch(2)]
    assert held.find(2) is None
    assert held.find(1) is not None


def test_requests_stay_open_when_execute_is_over() -> None:
    held = Held()
    held.in_flight.append(batch(1, 2))
    held.executed([1, 2])
    held.over(1)
    parts = held.keep_open(batch(1, 2))
    assert held.end(1)
    held.settle(parts)
    assert held.aside == 1
    assert held.find(1) is None
    assert held.find(2) is not None
    assert held.end(2)
    assert not held.end(2)
    assert (held.aside, bool(held)) == (0, False)


def test_a_request_may_end_before_execute_is_over() -> None:
    held = Held()
    held.in_flight.append(batch(1, 2))
    assert held.find(1)
    assert held.end(1)
    assert held.aside == 0  # it is still the head
    held.executed([1, 2])
    parts, in_turn = held.over(1)
    assert parts is not None
    assert in_turn
    assert not held.end(1)
    assert held.end(2)
    held.settle(parts)
    assert not held


def test_a_coroutine_makes_way() -> None:
    held = Held()
    held.in_flight += [batch(1), batch(2)]
    held.begun(1)
    assert (held.aside, keys(held.in_flight[0])) == (1, [2])
    assert keys(held.unread()) == [2, 1]
    held.executed([2])
    assert held.over(2) == (None, True)
    held.executed([1])
    parts, in_turn = held.over(1)
    assert parts is not None
    assert not in_turn
    assert held.end(1)
    held.settle(parts)
    assert not held


def test_a_coroutine_counts_until_it_is_over() -> None:
    held = Held()
    held.in_flight.append(batch(1))
    held.begun(1)
    assert held.end(1)
    assert held.aside == 1
    held.executed([1])
    parts, _ = held.over(1)
    assert parts is not None
    held.settle(parts)
    assert held.aside == 0


@pytest.mark.parametrize("key", [2, 3])
def test_only_the_head_can_go_on_by_itself(key: int) -> None:
    held = Held()
    held.in_flight += [batch(1, 2), batch(3)]
    with pytest.raises(WireError):
        held.begun(key)
    with pytest.raises(WireError):
        Held().begun(key)


def test_what_is_left_when_the_stub_is_gone() -> None:
    held = Held()
    held.in_flight += [batch(1), batch(2, 3), batch(4, 5), batch(6)]
    held.begun(1)
    held.executed([2, 3])
    held.over(2)
    parts = held.keep_open(batch(2, 3))
    held.end(2)
    held.settle(parts)
    assert held.find(4)
    held.end(4)
    executing, answering, waiting = held.abandon()
    assert (keys(executing), keys(answering), [keys(item) for item in waiting]) == ([1, 5], [3], [[6]])
    assert not held
    assert held.abandon() == ([], [], [])


class Books(RuleBasedStateMachine):
    """Whatever an honest stub does, each request is open until it has ended once, and nothing is forgotten."""

    @initialize()
    def start(self) -> None:
        self.held = Held()
        self.next = 1
        self.queue: list[list[int]] = []
        self.coroutines: list[list[int]] = []
        self.open: set[int] = set()
        self.done: set[int] = set()

    @rule(size=st.integers(1, 3))
    def given(self, size: int) -> None:
        made = list(range(self.next, self.next + size))
        self.next += size
        self.queue.append(made)
        self.held.in_flight.append(batch(*made))

    @precondition(lambda self: self.queue)
    @rule()
    def begin(self) -> None:
        self.coroutines.append(self.queue.pop(0))
        self.held.begun(self.coroutines[-1][0])

    @rule(data=st.data())
    def stream(self, data: st.DataObject) -> None:
        begun = [key for item in (*self.queue[:1], *self.coroutines) for key in item]
        candidates = sorted((set(begun) | self.open) - self.done)
        if candidates:
            key = data.draw(st.sampled_from(candidates))
            assert self.held.find(key)
            assert self.held.end(key)
            self.open.discard(key)
            self.done.add(key)

    @precondition(lambda self: self.queue or self.coroutines)
    @rule(data=st.data())
    def execute_is_over(self, data: st.DataObject) -> None:
        places: list[list[list[int]]] = [place for place in (self.queue, self.coroutines) if place]
        place = data.draw(st.sampled_from(places))
        index = 0 if place is self.queue else data.draw(st.integers(0, len(place) - 1))
        mine = place.pop(index)
        later = {key for key in mine if key not in self.done and data.draw(st.booleans())}
        jobs = self.held.executed(mine)
        parts, in_turn = self.held.over(mine[0])
        assert in_turn is (place is self.queue)
        if parts is None and (later or self.done & set(mine)):
            parts = self.held.keep_open(jobs)
        if parts is not None:
            for key in mine:
                if key not in later:
                    assert self.held.end(key) is (key not in self.done)
            self.held.settle(parts)
        self.open |= later
        self.done |= set(mine) - later

    @invariant()
    def nothing_is_forgotten(self) -> None:
        if not hasattr(self, "held"):
            return
        assert bool(self.held) is bool(self.queue or self.coroutines or self.open)
        for key in self.open:
            assert self.held.find(key)
        for key in self.done:
            assert self.held.find(key) is None

    def teardown(self) -> None:
        if not hasattr(self, "held"):
            return
        started = [key for item in (*self.queue[:1], *self.coroutines) for key in item]
        executing, answering, waiting = self.held.abandon()
        assert sorted(keys(executing)) == sorted(set(started) - self.done)
        assert set(keys(answering)) == self.open
        assert [keys(item) for item in waiting] == self.queue[1:]


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBooks: Any = Books.TestCase
