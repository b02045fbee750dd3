"""Tests of `pyserve_stub.spin`."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from pyserve_stub.spin import BUDGET_NS, Spinner


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
    spinner.slept(BUDGET_NS)
    assert not spinner.ready()
    spinner.slept(BUDGET_NS - 1)
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
