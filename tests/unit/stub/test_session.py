from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub import session as session_module
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.session import EngineGone, Hold
from pyserve_stub.wire import frames

from tests.unit.stub.peer import MARK, Peer, new_memory, started

LARGE = 300_000


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))


# -- packets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nbytes", [1, frames.MAX_FRAME, frames.MAX_FRAME + 1, LARGE, 5_000_000])
def test_a_frame_of_any_size_arrives(peer: Peer, nbytes: int) -> None:
    data = (bytes(range(1, 256)) * (nbytes // 255 + 1))[:nbytes]
    before = descriptor_count()
    send_packet(peer.sock, data)
    assert receive_packet(peer.session.sock) == (data, [])
    assert descriptor_count() == before


@pytest.mark.parametrize("nbytes", [10, LARGE])
def test_descriptors_come_along(peer: Peer, nbytes: int) -> None:
    fds = [new_memory(size) for size in (1, 2, 3, 4)]
    send_packet(peer.sock, b"\x10" * nbytes, fds)
    data, received = receive_packet(peer.session.sock)
    assert data == b"\x10" * nbytes
    assert [os.fstat(fd).st_size for fd in received] == [1, 2, 3, 4]
    assert not any(os.get_inheritable(fd) for fd in received)
    for fd in (*fds, *received):
        os.close(fd)


def test_the_end_is_an_empty_packet(peer: Peer) -> None:
    peer.sock.close()
    assert receive_packet(peer.session.sock) == (b"", [])


def test_a_descriptor_is_not_kept_when_the_frame_in_it_cannot_be_read(peer: Peer) -> None:
    reader, writer = os.pipe()
    before = descriptor_count()
    send_packet(peer.sock, bytes((frames.SPILLED,)), (reader,))
    with pytest.raises(OSError, match="a frame that is not in a file"):
        receive_packet(peer.session.sock)
    assert descriptor_count() == before
    os.close(reader)
    os.close(writer)


# -- frames in --------------------------------------------------------------------------------------------------------


def test_frames_come_in_their_order(peer: Peer) -> None:
    for number in (1, 2, 3):
        peer.sock.send(frames.encode_execute([], [number]))
    assert [frames.decode_execute(peer.session.receive())[1] for _ in range(3)] == [(1,), (2,), (3,)]


def test_cancellations_act_when_polled_and_other_frames_wait(peer: Peer) -> None:
    peer.sock.send(MARK)
    peer.sock.send(frames.encode_keys(frames.CANCEL, (4, 5)))
    assert 4 not in peer.session.cancelled
    peer.session.poll()
    assert list(peer.session.cancelled) == [4, 5]
    assert peer.session.receive() == MARK


def test_cancellations_of_long_ago_are_forgotten(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_MAX_CANCELLED", 3)
    peer.sock.send(frames.encode_keys(frames.CANCEL, (1, 2, 3, 4, 5)))
    peer.session.poll()
    assert list(peer.session.cancelled) == [3, 4, 5]


def test_polling_does_not_wait_for_whoever_reads(peer: Peer) -> None:
    thread, results = started(peer.session.receive)
    for _ in range(100):
        peer.session.poll()
    peer.sock.send(MARK)
    thread.join()
    assert results == [MARK]


def test_no_frame_is_lost_when_threads_poll_while_one_waits(peer: Peer) -> None:
    # A thread that polls may be the one that gets the frame for which the main thread waits.
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            peer.session.poll()

    pollers = [threading.Thread(target=poll) for _ in "ab"]
    for poller in pollers:
        poller.start()
    for number in range(200):
        peer.sock.send(frames.encode_execute([], [number]))
        assert frames.decode_execute(peer.session.receive())[1] == (number,)
    stop.set()
    for poller in pollers:
        poller.join()


def test_memory_is_not_dropped_before_frames_that_refer_to_it(peer: Peer) -> None:
    segment = peer.give(4096)
    peer.sock.send(MARK)
    peer.tell(frames.NOTE, {"dropped": [segment, 99]})
    peer.session.poll()
    assert peer.session.receive() == MARK
    assert segment in peer.session.segments
    peer.settle()
    assert segment not in peer.session.segments


def test_memory_that_is_given_is_mapped_as_announced(peer: Peer) -> None:
    readable = peer.give(4096, writable=False)
    peer.memory[readable][:5] = b"hello"
    lease, writable = peer.session.segments.lend(readable, 0, 5, None)
    assert (lease.tobytes(), writable) == (b"hello", False)
    assert peer.session.arena_capacity == 0
    peer.give(8192, arena="responses")
    assert peer.session.arena_capacity == 8192


def test_the_end_is_told_to_whoever_waits(peer: Peer) -> None:
    peer.sock.send(MARK)
    peer.sock.close()
    peer.session.poll()
    assert peer.session.receive() == MARK
    with pytest.raises(EngineGone):
        peer.session.receive()
    peer.session.poll()


def test_an_engine_that_died_with_unread_frames_is_gone_too(peer: Peer) -> None:
    peer.session.send(MARK)
    peer.sock.close()
    with pytest.raises(EngineGone):
        peer.session.receive()
    with pytest.raises(EngineGone):
        peer.session.send(MARK)


# -- inputs -----------------------------------------------------------------------------------------------------------


def test_inputs_that_are_done_with_before_the_answer_need_no_frame(peer: Peer) -> None:
    hold = Hold(peer.session, 5)
    assert peer.session.answering == {5: None}
    del hold
    assert peer.session.inputs_released(5)
    assert peer.told() == []


def test_inputs_that_are_kept_longer_are_released_by_a_frame(peer: Peer) -> None:
    hold = Hold(peer.session, 5)
    assert not peer.session.inputs_released(5)
    assert peer.told() == []
    del hold
    assert peer.told() == [frames.encode_keys(frames.RELEASE, (5,))]
    assert peer.session.answering == {}


def test_inputs_in_a_cycle_are_released_when_it_is_collected(peer: Peer) -> None:
    cycle: list[Any] = [Hold(peer.session, 5)]
    cycle.append(cycle)
    gc.collect()
    del cycle
    assert not peer.session.inputs_released(5)
    gc.collect()
    assert peer.told() == [frames.encode_keys(frames.RELEASE, (5,))]


def test_inputs_may_outlive_the_engine(peer: Peer, recwarn: pytest.WarningsRecorder) -> None:
    hold = Hold(peer.session, 5)
    peer.session.inputs_released(5)
    peer.sock.close()
    del hold
    assert not recwarn.list


def test_a_forked_child_cannot_speak_for_its_parent(peer: Peer) -> None:
    hold = Hold(peer.session, 5)
    peer.session.inputs_released(5)
    peer.session.forget()
    del hold
    with pytest.raises(OSError, match="Bad file descriptor"):
        peer.session.send(MARK)
    assert receive_packet(peer.sock) == (b"", [])


def test_inputs_that_live_until_the_interpreter_ends_make_no_noise() -> None:
    script = (
        "import socket, sys\n"
        "from pyserve_stub.session import Hold, Session\n"
        "peer, own = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "session = Session(own)\n"
        "sys.kept = [Hold(session, 1)]\n"
        "sys.kept.append(sys.kept)\n"
        "session.inputs_released(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
