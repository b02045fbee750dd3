"""Senders wait for memory: as long as something is read, and no longer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from pyserve_stub import session as session_module
from pyserve_stub.session import ArenaFull, EngineGone
from pyserve_stub.wire import frames

from tests.unit.stub.peer import Peer, started

_LONG_S = 60.0


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    monkeypatch.setattr(session_module, "_UNREAD_BLOCKS", 3)
    monkeypatch.setattr(session_module, "_STALL_S", _LONG_S)
    made = Peer()
    made.give(1 << 16, arena="responses")
    yield made
    made.close()


def take(peer: Peer, count: int) -> list[int]:
    """Leases of so many blocks."""
    return [peer.session.allocate(64).id for _ in range(count)]


def wait_until_reading(peer: Peer) -> None:
    """Somebody waits at the socket."""
    while not peer.session._turns._reading.locked():
        pass


def test_nobody_waits_while_there_is_little(peer: Peer) -> None:
    take(peer, 2)
    peer.session.throttle()


def test_who_waits_reads_what_is_released(peer: Peer) -> None:
    leases = take(peer, 3)
    thread, results = started(peer.session.throttle)
    wait_until_reading(peer)
    assert thread.is_alive()
    peer.sock.send(frames.encode_keys(frames.RELEASE, leases[:1]))
    thread.join()
    assert results == [None]


def test_others_are_read_for(peer: Peer) -> None:
    leases = take(peer, 3)
    thread, _ = started(peer.session.throttle)
    wait_until_reading(peer)
    receiving, received = started(peer.session.receive)
    peer.sock.send(frames.encode_execute(()))
    receiving.join()  # the main thread has its work although it did not read
    assert received == [frames.encode_execute(())]
    assert thread.is_alive()
    peer.sock.send(frames.encode_keys(frames.RELEASE, leases))
    thread.join()


def test_the_main_thread_reads_for_who_waits(peer: Peer) -> None:
    leases = take(peer, 3)
    receiving, received = started(peer.session.receive)
    wait_until_reading(peer)
    thread, results = started(peer.session.throttle)
    while not peer.session._turns._waiting:
        pass
    peer.sock.send(frames.encode_keys(frames.RELEASE, leases))
    thread.join()
    assert results == [None]
    peer.sock.send(frames.encode_execute(()))
    receiving.join()
    assert received


def test_leases_that_come_with_a_batch_are_seen_too(peer: Peer) -> None:
    leases = take(peer, 3)
    peer.session._turns._reading.acquire()
    thread, _ = started(peer.session.throttle)
    while not peer.session._turns._waiting:
        pass
    peer.session.free(leases)
    thread.join()
    peer.session._turns._reading.release()


def test_what_has_arrived_is_looked_at_before_anybody_waits(peer: Peer) -> None:
    leases = take(peer, 3)
    peer.sock.send(frames.encode_keys(frames.RELEASE, leases))
    peer.session.throttle()
    assert peer.session.arena_used == 0


def test_who_keeps_everything_stops_nobody(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_STALL_S", 0.001)
    take(peer, 3)
    for _ in range(5):
        peer.session.throttle()
        take(peer, 1)
    assert peer.session._allocator.blocks == 8
    assert peer.session._stalls == 2  # each time as many again
    peer.session.throttle()


def test_patience_returns_when_memory_does(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_STALL_S", 0.001)
    leases = take(peer, 3)
    peer.session.throttle()
    peer.session.free(leases)
    peer.session.throttle()
    assert peer.session._stalls == 0


def test_bytes_count_as_blocks_do(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_UNREAD_NBYTES", 1000)
    lease = peer.session.allocate(2000).id
    thread, _ = started(peer.session.throttle)
    wait_until_reading(peer)
    peer.sock.send(frames.encode_keys(frames.RELEASE, (lease,)))
    thread.join()


def test_the_end_of_the_engine_ends_the_wait(peer: Peer) -> None:
    take(peer, 3)
    thread, results = started(peer.session.throttle)
    wait_until_reading(peer)
    peer.sock.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert isinstance(results[0], EngineGone)


def refuse_growth(peer: Peer) -> None:
    call = frames.decode_cold(peer.next())
    peer.tell(frames.REPLY, {"id": call["id"], "ok": False, "error": "full"})


def test_a_full_arena_is_waited_for(peer: Peer) -> None:
    lease = peer.session.allocate(1 << 16).id
    thread, results = started(lambda: peer.session.allocate(1 << 16, _LONG_S))
    refuse_growth(peer)
    peer.sock.send(frames.encode_keys(frames.RELEASE, (lease,)))
    thread.join()
    assert results[0].nbytes == 1 << 16


@pytest.mark.parametrize("patience_s", [0.0, 0.001])
def test_a_full_arena_is_not_waited_for_longer_than_wanted(peer: Peer, patience_s: float) -> None:
    peer.session.allocate(1 << 16)
    thread, results = started(lambda: peer.session.allocate(64, patience_s))
    refuse_growth(peer)
    thread.join()
    assert isinstance(results[0], ArenaFull)


def test_destructors_may_free_while_the_lock_is_held(peer: Peer) -> None:
    first, second = take(peer, 2)
    with peer.session._lock:
        peer.session.free_later([first])
        assert peer.session.arena_used == 128
    peer.session.free([second])
    assert peer.session.arena_used == 0


def test_destructors_free_at_once_otherwise(peer: Peer) -> None:
    shown = threading.Event()
    peer.session.on_freed = shown.set
    peer.session.free_later(take(peer, 1))
    assert peer.session.arena_used == 0
    assert shown.is_set()
