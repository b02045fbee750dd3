"""Parsing the engine's answers, and one exchange over a real socket pair."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_pyserve.transports.jupyter.headers import Framing
from jupyter_pyserve.transports.jupyter.proxy import EngineGoneError, Exchange, ResponseHead, ResponseParser

FIXED = b"HTTP/1.1 405 Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
UNFRAMED = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nall until the end"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + FIXED


def parse(data: bytes, step: int, *, has_body: bool = True) -> tuple[ResponseParser, bytes]:
    parser = ResponseParser(has_body=has_body)
    body = b"".join(parser.feed(data[start : start + step]) for start in range(0, len(data), step))
    return parser, body


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("data", "status", "reason", "expected"),
    [
        (FIXED, 405, "Not Allowed", b"hello"),
        (CHUNKED, 200, "OK", b"abcde"),
        (CONTINUED, 405, "Not Allowed", b"hello"),
    ],
)
def test_answers_in_any_pieces(data: bytes, status: int, reason: str, expected: bytes, step: int) -> None:
    parser, body = parse(data, step)
    assert parser.head is not None
    assert (parser.head.status, parser.head.reason, body) == (status, reason, expected)
    assert parser.complete


def test_headers_keep_their_order_and_repetitions() -> None:
    parser, _ = parse(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: caf\xe9\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n", 1000)
    assert parser.head == ResponseHead(
        status=200,
        reason="OK",
        headers=(("X-A", "1"), ("X-B", "caf\xe9"), ("X-A", "2"), ("Content-Length", "0")),
    )
    assert parser.complete


def test_an_answer_to_head_has_no_body() -> None:
    parser, body = parse(FIXED.removesuffix(b"hello"), 1000, has_body=False)
    assert (parser.complete, body) == (True, b"")


def test_an_answer_without_framing_ends_with_the_connection() -> None:
    parser, body = parse(UNFRAMED, 1000)
    assert (parser.complete, body) == (False, b"all until the end")
    parser.end()
    assert parser.complete


def test_what_follows_an_answer_is_ignored() -> None:
    _, body = parse(FIXED + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", 1000)
    assert body == b"hello"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "before it answered"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "before it answered"),
        (FIXED[:-1], "in the middle"),
        (CHUNKED[:-5], "in the middle"),
    ],
)
def test_an_early_end(data: bytes, message: str) -> None:
    parser, _ = parse(data, 1000)
    with pytest.raises(EngineGoneError, match=message):
        parser.end()


@pytest.mark.parametrize("data", [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"])
def test_garbage(data: bytes) -> None:
    with pytest.raises(EngineGoneError, match="not HTTP"):
        parse(data, 1000)


def test_a_head_without_an_end() -> None:
    with pytest.raises(EngineGoneError, match="too large"):
        parse(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, 4096)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="ps") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(Path(folder) / "s"))
        listening.listen()
        listening.setblocking(False)
        yield listening


async def connect(listener: socket.socket, body: Framing) -> tuple[Exchange, socket.socket]:
    exchange = await Exchange.open(listener.getsockname(), method="POST", target="/v2", headers=[], body=body)
    peer, _ = listener.accept()
    peer.setblocking(False)
    return exchange, peer


async def test_nobody_listens(listener: socket.socket) -> None:
    address = listener.getsockname()
    listener.close()
    with pytest.raises(EngineGoneError, match="cannot be reached: Connection refused"):
        await Exchange.open(address, method="GET", target="/v2", headers=[], body=Framing(length=0))


async def test_chunks_are_framed(listener: socket.socket) -> None:
    exchange, peer = await connect(listener, Framing(length=None))
    for piece in (b"ab", b"", b"x" * 17):
        await exchange.send(piece)
    await exchange.end()
    received = await asyncio.get_running_loop().sock_recv(peer, 65536)
    assert received.partition(b"\r\n\r\n")[2] == b"2\r\nab\r\n11\r\n" + b"x" * 17 + b"\r\n0\r\n\r\n"
    exchange.close()
    peer.close()


@pytest.mark.parametrize(("body", "pieces"), [(b"ok", [b"ok"]), (b"", [b"ok"])])
async def test_a_head_tells_whether_something_came_with_it(
    listener: socket.socket, body: bytes, pieces: list[bytes]
) -> None:
    exchange, peer = await connect(listener, Framing(length=0))
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)
    await exchange.head()
    assert exchange.has_body == bool(body)
    if not body:
        peer.send(b"ok")
    assert [piece async for piece in exchange.body()] == pieces
    exchange.close()
    peer.close()


async def test_an_answer_survives_an_engine_that_does_not_read(listener: socket.socket) -> None:
    exchange, peer = await connect(listener, Framing(length=1 << 30))
    sending = asyncio.ensure_future(exchange.send(b"x" * (8 << 20)))
    await asyncio.sleep(0)
    assert exchange._writable is not None
    peer.send(FIXED)
    peer.close()
    await sending
    assert (await exchange.head()).status == 405
    assert b"".join([piece async for piece in exchange.body()]) == b"hello"
    exchange.close()


async def test_closing_ends_a_send_that_waits(listener: socket.socket) -> None:
    exchange, peer = await connect(listener, Framing(length=1 << 30))
    sending = asyncio.ensure_future(exchange.send(b"x" * (8 << 20)))
    await asyncio.sleep(0)
    assert exchange._writable is not None
    exchange.close()
    await sending
    await exchange.send(b"more")
    peer.close()
