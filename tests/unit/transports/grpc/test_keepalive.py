"""Pings both ways and the age of connections; the loop's clock is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from jupyter_pyserve.settings import KeepaliveSettings
from jupyter_pyserve.transports.grpc.keepalive import Keepalive


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time passes only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now_s += seconds
        self.call_soon(self.stop)
        self.run_forever()
        self.call_soon(self.stop)
        self.run_forever()


class Peer:
    def __init__(self) -> None:
        self.busy = True
        self.did: list[str] = []

    def ping(self) -> None:
        self.did.append("ping")

    def shutdown(self) -> None:
        self.did.append("shutdown")

    def abort(self) -> None:
        self.did.append("abort")


def play(settings: KeepaliveSettings, scenario: Callable[[Clock, Peer, Keepalive], None]) -> None:
    clock, peer = Clock(), Peer()
    made: list[Keepalive] = []
    clock.call_soon(lambda: made.append(Keepalive(settings, peer)))
    try:
        clock.wait(0)
        scenario(clock, peer, made[0])
        made[0].stop()
        peer.did.clear()
        clock.wait(1e6)
        assert peer.did == []
    finally:
        clock.close()


def test_a_silent_client_is_asked_and_given_up() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        clock.wait(9)
        assert peer.did == []
        clock.wait(1)
        assert peer.did == ["ping"]
        clock.wait(4)
        assert peer.did == ["ping", "abort"]

    play(KeepaliveSettings(time_s=10, timeout_s=3), scenario)


def test_a_client_that_answers_stays() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        for _ in range(3):
            clock.wait(11)
            keepalive.heard()
            clock.wait(4)
        assert set(peer.did) == {"ping"}

    play(KeepaliveSettings(time_s=10, timeout_s=3), scenario)


def test_a_client_that_talks_is_not_asked() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        for _ in range(10):
            clock.wait(6)
            keepalive.heard()
        assert peer.did == []

    play(KeepaliveSettings(time_s=10, timeout_s=3), scenario)


@pytest.mark.parametrize("permitted", [False, True])
def test_without_calls(permitted: bool) -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        peer.busy = False
        clock.wait(11)
        assert peer.did == (["ping"] if permitted else [])

    play(KeepaliveSettings(time_s=10, timeout_s=3, permit_without_calls=permitted), scenario)


def test_pings_that_come_too_often() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        assert [keepalive.pinged() for _ in range(4)] == [False, False, False, True]
        keepalive.spoke()
        assert [keepalive.pinged() for _ in range(3)] == [False, False, False]
        for _ in range(5):
            clock.wait(301)
            assert not keepalive.pinged()

    play(KeepaliveSettings(max_ping_strikes=2), scenario)


def test_pings_of_a_client_without_calls() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        peer.busy = False
        answers = []
        for _ in range(4):
            clock.wait(301)
            answers.append(keepalive.pinged())
        assert answers == [False, False, False, True]

    play(KeepaliveSettings(max_ping_strikes=2), scenario)


def test_no_number_of_pings_is_too_many() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        assert not any(keepalive.pinged() for _ in range(100))

    play(KeepaliveSettings(max_ping_strikes=0), scenario)


def test_an_old_connection_ends() -> None:
    def scenario(clock: Clock, peer: Peer, keepalive: Keepalive) -> None:
        clock.wait(8)
        assert peer.did == []
        clock.wait(4)
        assert peer.did == ["shutdown"]
        clock.wait(6)
        assert peer.did == ["shutdown", "abort"]

    play(KeepaliveSettings(max_connection_age_s=10, max_connection_age_grace_s=5), scenario)
