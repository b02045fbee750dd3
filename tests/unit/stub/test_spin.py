"""Tests of `pyserve_stub.spin`."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from pyserve_stub.spin import CALLED, USUAL, Patience, Spinner


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_what_is_there_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    assert Spinner(ours).spin()


def test_what_does_not_come_is_not_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    assert not Spinner(pair[0]).spin()


def test_nobody_spins_before_a_short_sleep(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"x")
    spinner = Spinner(ours)
    assert not spinner.ready()
    spinner.slept(USUAL.budget_ns)
    assert not spinner.ready()
    spinner.slept(USUAL.budget_ns - 1)
    assert spinner.ready()


def test_nobody_spins_twice_in_vain(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    spinner = Spinner(ours)
    spinner.slept(1)
    assert not spinner.ready()
    theirs.send(b"x")
    assert not spinner.ready()


def test_the_end_of_the_stream_is_seen(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    assert Spinner(ours).spin()


class Machine:
    """A clock that goes on only while others have the processor: for `turn_ns` at each turn that they are offered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, turn_ns: int) -> None:
        self.now_ns = 1
        self.turn_ns = turn_ns
        self.turns = 0
        monkeypatch.setattr("time.monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr("os.sched_yield", self._turn)

    def _turn(self) -> None:
        self.turns += 1
        self.now_ns += self.turn_ns


def test_nobody_wants_the_processor(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, 1000)
    assert not Spinner(pair[0]).spin()
    assert machine.turns == USUAL.budget_ns // 1000


@pytest.mark.parametrize(("patience", "turns"), [(USUAL, 1), (CALLED, 12)])
def test_somebody_wants_the_processor(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, patience: Patience, turns: int
) -> None:
    machine = Machine(monkeypatch, 50_000)
    spinner = Spinner(pair[0], patience)
    for count in (1, 2):
        assert not spinner.spin()
        assert machine.turns == count * turns


def test_what_comes_while_somebody_has_the_processor_is_seen(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    Machine(monkeypatch, 50_000)
    monkeypatch.setattr("os.sched_yield", lambda: theirs.send(b"x"))
    assert Spinner(ours).spin()


def test_nobody_spins_on_a_busy_machine(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, 3_000_000)
    spinner = Spinner(pair[0])
    for _ in range(3):
        assert not spinner.spin()
        assert machine.turns == 1
    machine.now_ns += 100_000_000
    assert not spinner.spin()
    assert machine.turns == 2


def test_what_is_there_is_seen_on_a_busy_machine(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    Machine(monkeypatch, 3_000_000)
    spinner = Spinner(ours)
    assert not spinner.spin()
    theirs.send(b"x")
    assert spinner.spin()
