from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from jupyter_pyserve.transports.http.writer import Writer
from tests.unit.transports.http.fakes import FakeTransport

LARGE = 3 << 20


class Outgoing:
    """A writer, its transport, and what it said."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.sent = 0
        self.released = 0
        self.writer = Writer(self.transport, self._on_sent)
        self.transport.protocol = self

    def _on_sent(self) -> None:
        self.sent += 1

    def release(self) -> None:
        self.released += 1

    def pause_writing(self) -> None:
        self.writer.pause()

    def send(self, *bodies: bytes) -> bool:
        return self.writer.send(b"head", [memoryview(body) for body in bodies], self.release)


def test_a_small_answer_leaves_at_once() -> None:
    out = Outgoing()
    assert out.send(b"one", b"two")
    assert out.transport.take() == b"headonetwo"
    assert (out.released, out.sent) == (1, 0)


def test_a_large_answer_to_a_fast_client_leaves_at_once() -> None:
    out = Outgoing()
    assert out.send(bytes(LARGE), b"tail")
    assert out.transport.take() == b"head" + bytes(LARGE) + b"tail"
    assert (out.released, out.sent) == (1, 0)


def test_a_large_answer_to_a_slow_client_leaves_piece_by_piece() -> None:
    out = Outgoing()
    out.transport.stuck = True
    body = bytes(range(256)) * (LARGE // 256)
    assert not out.send(body)
    got = out.transport.take()
    rounds = 0
    while not out.sent:
        assert out.released == 0
        assert len(got) <= 4 + len(body)
        out.writer.resume()
        got += out.transport.take()
        rounds += 1
    assert got == b"head" + body
    assert rounds >= 3
    assert (out.released, out.sent) == (1, 1)


def test_the_last_byte_must_have_left_too() -> None:
    out = Outgoing()
    out.transport.stuck = True
    out.send(bytes(100_000))
    assert len(out.transport.take()) == 4
    out.writer.resume()
    assert (len(out.transport.take()), out.released) == (100_000, 0)
    out.writer.resume()
    assert (out.released, out.sent) == (1, 1)


def test_limits_are_back_to_normal_afterwards() -> None:
    out = Outgoing()
    usual = out.transport.high
    out.transport.stuck = True
    out.send(bytes(100_000))
    assert out.transport.high == 0
    out.transport.stuck = False
    out.writer.resume()
    assert out.transport.high == usual


def test_a_lost_connection_gives_back_once() -> None:
    out = Outgoing()
    out.transport.stuck = True
    out.send(bytes(LARGE))
    out.writer.abandon()
    out.writer.abandon()
    assert (out.released, out.sent) == (1, 0)


def test_a_stream_waits_for_a_slow_client() -> None:
    async def scenario() -> None:
        out = Outgoing()
        asked: list[int] = []

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(3):
                asked.append(number)
                yield b"%d" % number

        out.writer.pause()
        task = asyncio.ensure_future(out.writer.stream(pieces(), b"text/plain"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asked == [0]
        out.writer.resume()
        await task
        head, _, body = out.transport.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n"

    asyncio.run(scenario())


def test_a_stream_to_a_client_that_goes_is_let_go() -> None:
    async def scenario() -> None:
        out = Outgoing()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        out.writer.pause()
        task = asyncio.ensure_future(out.writer.stream(pieces(), b"text/plain"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not task.done()
        out.writer.abandon()
        await task

    asyncio.run(scenario())


def test_a_stream_ends_with_a_connection_of_which_nobody_has_told_yet() -> None:
    async def scenario() -> None:
        out = Outgoing()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            out.transport.close()
            yield b"two"

        assert await out.writer.stream(pieces(), b"text/plain") is False
        assert out.transport.take().endswith(b"\r\n3\r\none\r\n")

    asyncio.run(scenario())
