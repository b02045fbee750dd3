from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from pyserve_stub import packets
from pyserve_stub.packets import receive_packet, send_packet

from jupyter_pyserve.engine.stubs import channel
from jupyter_pyserve.engine.stubs.channel import Channel
from tests.support.turning import until


class Ends:
    """A channel, the peer's socket, and what the channel told."""

    def __init__(self) -> None:
        ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.frames: list[bytes] = []
        self.fds: list[int] = []
        self.closed = 0
        self.channel = Channel(ours, self._on_frame, self._on_close)

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        self.frames.append(data)
        self.fds += fds
        if data == b"close":
            self.channel.close()

    def _on_close(self) -> None:
        self.closed += 1


def play(scenario: Callable[[Ends], Awaitable[None]]) -> Ends:
    async def run() -> Ends:
        ends = Ends()
        await scenario(ends)
        ends.channel.close()
        ends.peer.close()
        for fd in ends.fds:
            os.close(fd)
        return ends

    return asyncio.run(run())


async def read(peer: socket.socket, count: int, passed: list[int] | None = None) -> list[bytes]:
    """So many frames, as they come; descriptors are `passed` on."""
    peer.setblocking(False)
    got: list[bytes] = []
    while len(got) < count:
        try:
            data, fds = receive_packet(peer)
        except BlockingIOError:
            await asyncio.sleep(0)
            continue
        got.append(data)
        if passed is not None:
            passed += fds
    return got


def test_frames_both_ways() -> None:
    async def scenario(ends: Ends) -> None:
        ends.channel.send(b"out")
        assert receive_packet(ends.peer)[0] == b"out"
        send_packet(ends.peer, b"one")
        send_packet(ends.peer, b"two")
        await until(lambda: len(ends.frames) == 2)

    assert play(scenario).frames == [b"one", b"two"]


def test_descriptors_travel_with_their_frame() -> None:
    async def scenario(ends: Ends) -> None:
        reader, writer = os.pipe()
        ends.channel.send(b"take", [writer])
        _, (passed,) = receive_packet(ends.peer)
        os.write(passed, b"x")
        assert os.read(reader, 1) == b"x"
        for fd in (reader, writer, passed):
            os.close(fd)

    play(scenario)


def test_a_peer_that_goes_is_noticed_once_after_its_last_words() -> None:
    async def scenario(ends: Ends) -> None:
        send_packet(ends.peer, b"last words")
        ends.peer.close()
        await until(lambda: ends.channel.closed)
        ends.channel.close()

    ends = play(scenario)
    assert (ends.frames, ends.closed) == ([b"last words"], 1)


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("hasty", [False, True])
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_peer_that_goes_with_something_unread_is_noticed(
    loop: Callable[[], asyncio.AbstractEventLoop], hasty: bool, count: int
) -> None:
    # One loop calls a reader once for that, and never again.
    async def scenario() -> None:
        ends = Ends()
        if hasty:
            ends.channel._expecting = ends.channel.gone
        ends.channel.send(b"never read")
        for _ in range(count):
            send_packet(ends.peer, b"x")
        ends.peer.close()
        await until(lambda: ends.closed)
        assert len(ends.frames) == count

    running = loop()
    running.run_until_complete(scenario())
    running.close()


def test_a_peer_of_which_nothing_is_expected_is_noticed_when_it_is_sent_something() -> None:
    async def scenario() -> None:
        ends = Ends()
        ends.channel._expecting = bool
        ends.channel.send(b"never read")
        for _ in range(3):
            send_packet(ends.peer, b"x")
        ends.peer.close()
        await until(lambda: ends.frames)
        assert not ends.closed
        ends.channel.send(b"y")
        await until(lambda: ends.closed)

    running = uvloop.new_event_loop()
    running.run_until_complete(scenario())
    running.close()


def test_sending_to_a_peer_that_has_gone_is_no_error() -> None:
    async def scenario(ends: Ends) -> None:
        ends.peer.close()
        ends.channel.send(b"x")
        await until(lambda: ends.channel.closed)
        ends.channel.send(b"y")

    assert play(scenario).closed == 1


def test_what_the_socket_does_not_take_is_sent_later_in_order() -> None:
    async def scenario(ends: Ends) -> None:
        count = 2000
        reader, writer = os.pipe()
        for number in range(count):
            ends.channel.send(b"%d" % number + bytes(1000), [writer] if number == count - 1 else [])
        os.close(writer)  # a frame that waits holds its own
        passed: list[int] = []
        got = await read(ends.peer, count, passed)
        assert [data.rstrip(b"\0") for data in got] == [b"%d" % number for number in range(count)]
        os.write(passed[0], b"x")
        assert os.read(reader, 1) == b"x"
        for fd in (reader, *passed):
            os.close(fd)

    play(scenario)


def test_closing_drops_what_waits_with_its_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))

    async def scenario(ends: Ends) -> None:
        reader, writer = os.pipe()
        for _ in range(2000):
            ends.channel.send(bytes(1000), [writer])
        os.close(writer)
        ends.channel.close()
        ends.peer.close()
        assert os.read(reader, 1) == b""  # nobody holds the other end
        os.close(reader)

    assert play(scenario).closed == 1
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_peer_that_reads_slowly_is_kept() -> None:
    count = 20_000

    async def scenario(ends: Ends) -> None:
        for number in range(count):
            ends.channel.send(b"%d" % number)
        await asyncio.sleep(0)
        assert not ends.closed
        assert await read(ends.peer, count) == [b"%d" % number for number in range(count)]

    play(scenario)


def test_a_peer_that_never_reads_is_let_go_but_not_in_the_middle_of_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_MAX_QUEUED_NBYTES", 10_000)

    async def scenario(ends: Ends) -> None:
        for _ in range(2000):
            ends.channel.send(bytes(1000))
        assert not ends.closed
        await until(lambda: ends.closed)

    assert play(scenario).closed == 1


@pytest.mark.parametrize("waiting", [False, True])
def test_a_frame_that_is_too_large_to_be_sent_ends_the_channel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, waiting: bool
) -> None:
    monkeypatch.setattr(packets, "_MAX_SPILL_NBYTES", 100_000)

    async def scenario(ends: Ends) -> None:
        count = 1000 if waiting else 0
        for _ in range(count):
            ends.channel.send(bytes(1000))
        ends.channel.send(bytes(100_001))
        assert not ends.closed
        for _ in range(count):
            receive_packet(ends.peer)
            await asyncio.sleep(0)
        await until(lambda: ends.closed)
        assert receive_packet(ends.peer)[0] == b""

    assert play(scenario).closed == 1
    assert "a frame of 100001 bytes is larger than" in caplog.text


@pytest.mark.parametrize("after", [b"", b"more"])
def test_closing_from_a_frame_stops_at_once(after: bytes) -> None:
    async def scenario(ends: Ends) -> None:
        send_packet(ends.peer, b"close")
        if after:
            send_packet(ends.peer, after)
        await until(lambda: ends.channel.closed)

    assert play(scenario).frames == [b"close"]


def test_a_frame_that_is_expected_and_comes_is_waited_for_awake_the_next_time() -> None:
    async def scenario(ends: Ends) -> None:
        for number in range(3):
            ends.channel.expect()
            send_packet(ends.peer, b"%d" % number)
            await until(lambda: len(ends.frames) == number + 1)  # noqa: B023
        assert ends.channel._spinner.worthwhile
        ends.channel.expect()  # in vain
        await until(lambda: not ends.channel._spinner.worthwhile)

    play(scenario)
