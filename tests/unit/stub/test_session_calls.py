from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub.session import ArenaFull, EngineGone
from pyserve_stub.spin import CALLED
from pyserve_stub.wire import frames

from tests.unit.stub.peer import MARK, Peer, started


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def test_a_call_is_answered_among_other_frames(peer: Peer) -> None:
    thread, results = started(lambda: peer.session.call("ask", what=3))
    call = frames.decode_cold(peer.next())
    assert call == {"id": 1, "op": "ask", "what": 3}
    segment, fd = peer.new_segment(4096)
    peer.sock.send(frames.encode_keys(frames.CANCEL, (9,)))
    peer.sock.send(MARK)
    peer.tell(frames.NOTE, {"segments": [segment]}, (fd,))
    os.close(fd)
    peer.tell(frames.REPLY, {"id": 77, "ok": False})
    peer.tell(frames.REPLY, {"ok": False})
    peer.sock.send(frames.encode_keys(frames.RELEASE, (1,)))
    peer.tell(frames.REPLY, {"id": 1, "ok": True})
    thread.join()
    assert results == [{"id": 1, "ok": True}]
    assert peer.session.spinner.patience == CALLED, "those who answer may need the processor"
    assert list(peer.session.cancelled) == [9]
    assert peer.session.receive() == MARK
    peer.settle()
    assert segment["id"] in peer.session.segments


def test_descriptors_of_an_answer_that_nobody_waits_for_are_closed(peer: Peer) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            peer.tell(frames.REPLY, {"id": 77, "ok": True}, (theirs.fileno(),))
        peer.settle()
        assert ours.recv(1) == b""  # nobody holds the other end


def test_a_call_ends_with_the_engine(peer: Peer) -> None:
    thread, results = started(lambda: peer.session.call("ask"))
    peer.next()
    peer.sock.close()
    thread.join()
    assert isinstance(results[0], EngineGone)


def test_calls_of_several_threads_are_answered_in_any_order(peer: Peer) -> None:
    threads = [started(functools.partial(peer.session.call, "ask", number=number)) for number in range(4)]
    calls = [frames.decode_cold(peer.next()) for _ in threads]
    for call in reversed(calls):
        peer.tell(frames.REPLY, {"id": call["id"], "number": call["number"]})
    for thread, _ in threads:
        thread.join()
    assert [results[0]["number"] for _, results in threads] == [0, 1, 2, 3]


def test_a_thread_may_call_while_another_waits_for_frames(peer: Peer) -> None:
    receiver, received = started(peer.session.receive)
    caller, replies = started(lambda: peer.session.call("ask"))
    peer.tell(frames.REPLY, {"id": frames.decode_cold(peer.next())["id"]})
    caller.join()
    peer.sock.send(MARK)
    receiver.join()
    assert received == [MARK]
    assert replies == [{"id": 1}]


def test_a_thread_reads_its_reply_itself_when_the_other_has_its_frame(peer: Peer) -> None:
    receiver, received = started(peer.session.receive)
    caller, replies = started(lambda: peer.session.call("ask"))
    call = frames.decode_cold(peer.next())
    peer.sock.send(MARK)
    receiver.join()
    assert received == [MARK]
    peer.tell(frames.REPLY, {"id": call["id"]})
    caller.join()
    assert replies == [{"id": 1}]


def test_calls_and_frames_from_many_threads_at_once(peer: Peer) -> None:
    rounds = 50

    def ask(first: int) -> list[int]:
        return [peer.session.call("ask", number=first + number)["number"] for number in range(rounds)]

    def play_engine() -> None:
        for _ in range(3 * rounds):
            call = frames.decode_cold(peer.next())
            peer.sock.send(MARK)
            peer.tell(frames.REPLY, {"id": call["id"], "number": call["number"]})

    engine, _ = started(play_engine)
    callers = [started(functools.partial(ask, first)) for first in (0, 1000, 2000)]
    assert [peer.session.receive() for _ in range(3 * rounds)] == [MARK] * (3 * rounds)
    for thread, results in callers:
        thread.join()
        assert isinstance(results[0], list), results
    engine.join()
    assert [results[0][0] for _, results in callers] == [0, 1000, 2000]


# -- the arena --------------------------------------------------------------------------------------------------------


def test_blocks_come_from_the_arena_and_go_back(peer: Peer) -> None:
    segment = peer.give(8192, arena="responses")
    block = peer.session.allocate(100)
    assert (block[1], block[3]) == (segment, 128)
    assert peer.session.arena_used == 128
    peer.session.free([block[0], block[0], 12345])
    assert peer.session.arena_used == 0


def test_what_the_engine_gave_back_is_used_before_more_is_asked_for(peer: Peer) -> None:
    peer.give(4096, arena="responses")
    freed: list[int] = []
    peer.session.on_freed = lambda: freed.append(peer.session.arena_used)
    block = peer.session.allocate(4096)
    peer.sock.send(frames.encode_keys(frames.RELEASE, (block[0],)))
    assert peer.session.allocate(4096)[1:] == block[1:]
    assert peer.told() == []
    assert freed == [0]


def test_an_arena_that_is_full_grows(peer: Peer) -> None:
    with peer.answer_growth(1 << 16) as growth:
        first = peer.session.allocate(40_000)
        second = peer.session.allocate(40_000)
    assert growth.granted == 2
    assert first[1] != second[1]
    assert peer.session.arena_capacity == 2 << 16


def test_memory_may_come_back_while_more_is_asked_for(peer: Peer) -> None:
    # The engine's "released" comes whenever it likes, also while the stub waits for its answer.
    peer.give(4096, arena="responses")
    block = peer.session.allocate(4096)
    thread, results = started(lambda: peer.session.allocate(8192))
    call = frames.decode_cold(peer.next())
    peer.sock.send(frames.encode_keys(frames.RELEASE, (block[0],)))
    segment, fd = peer.new_segment(8192, arena="responses")
    peer.tell(frames.REPLY, {"id": call["id"], "ok": True, "segments": [segment]}, (fd,))
    os.close(fd)
    thread.join()
    assert results[0][1] == segment["id"]
    assert peer.session.arena_used == 8192


@pytest.mark.parametrize(
    ("reply", "text"), [({"ok": False, "error": "no more"}, "no more"), ({"ok": False}, ""), ({"ok": True}, "")]
)
def test_an_engine_may_refuse(peer: Peer, reply: dict[str, Any], text: str) -> None:
    thread, results = started(lambda: peer.session.allocate(5000))
    call = frames.decode_cold(peer.next())
    assert call == {"id": 1, "op": "grow", "nbytes": 5000}
    peer.tell(frames.REPLY, {"id": 1, **reply})
    thread.join()
    assert isinstance(results[0], ArenaFull)
    assert str(results[0]) == text
    assert peer.session.arena_used == 0


def test_many_threads_may_allocate_at_once(peer: Peer) -> None:
    with peer.answer_growth(1 << 16):
        waiting, frames_taken = started(lambda: receive_until_gone(peer))
        threads = [started(lambda: [peer.session.allocate(20_000) for _ in range(20)]) for _ in range(4)]
        for thread, _ in threads:
            thread.join()
        blocks = [block for _, results in threads for block in results[0]]
        peer.session.sock.shutdown(socket.SHUT_RD)
        waiting.join()
    assert len({block[0] for block in blocks}) == 80
    assert len({block[1:3] for block in blocks}) == 80
    assert peer.session.arena_used == 80 * 32_768
    assert frames_taken == [0]


def receive_until_gone(peer: Peer) -> int:
    count = 0
    with contextlib.suppress(EngineGone):
        while True:
            peer.session.receive()
            count += 1
    return count


def test_an_arena_that_is_idle_gives_its_free_pages_back(peer: Peer) -> None:
    segment = peer.give(1 << 20, arena="responses")
    kept, freed = peer.session.allocate(100_000), peer.session.allocate(100_000)
    peer.session.segments.get(segment).array[:] = 7
    peer.session.free([freed[0]])
    peer.tell(frames.NOTE, {"op": "trim"})
    peer.settle()
    memory = peer.memory[segment]
    assert memory[: kept[3]] == b"\x07" * kept[3]
    assert memory[freed[2] + 4096 : 1 << 20].strip(b"\0") == b""
    assert peer.session.arena_used == kept[3]


def test_what_a_waiting_caller_reads_for_the_receiver_reaches_it_at_once(peer: Peer) -> None:
    caller, replies = started(lambda: peer.session.call("ask"))
    call = frames.decode_cold(peer.next())  # the caller is the one that reads
    receiver, received = started(peer.session.receive)
    peer.sock.send(MARK)
    receiver.join(20)  # although the reply is not there yet
    assert received == [MARK]
    peer.tell(frames.REPLY, {"id": call["id"]})
    caller.join()
    assert replies == [{"id": call["id"]}]


def test_the_receiver_takes_over_when_a_caller_has_its_reply(peer: Peer) -> None:
    caller, _ = started(lambda: peer.session.call("ask"))
    call = frames.decode_cold(peer.next())
    receiver, received = started(peer.session.receive)
    peer.tell(frames.REPLY, {"id": call["id"]})
    caller.join()
    peer.sock.send(MARK)
    receiver.join(20)
    assert received == [MARK]
