"""One HTTP exchange with the engine over its Unix socket, streamed in both directions at once.

Owns the upstream connection. Each direction waits only for its own side of the socket, so that an answer that comes
before the request has been sent in full is neither lost nor in the way. Knows nothing of the client's side.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

import httptools

from jupyter_pyserve.transports.jupyter.headers import Framing, Header, request_head

_READ_SIZE: Final = 256 * 1024
_MAX_HEAD: Final = 256 * 1024


class EngineGoneError(Exception):
    """The connection to the engine failed; the text says when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """The engine's status line and headers."""

    status: int
    reason: str
    headers: tuple[Header, ...]


class ResponseParser:
    """Collects what httptools finds in the engine's bytes; pure, fed by the exchange."""

    def __init__(self, *, has_body: bool = True) -> None:
        self.head: ResponseHead | None = None
        self.complete = False
        self._has_body = has_body
        self._framed = False
        self._reason = b""
        self._headers: list[Header] = []
        self._pieces: list[bytes] = []
        self._head_size = 0
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """Takes bytes from the engine and returns those of the body; raises EngineGoneError for what is not HTTP."""
        if self.head is None:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            # What follows a complete message is of no interest; an Upgrade has no business here.
            if not self.complete:
                raise EngineGoneError(f"the inference engine's answer is not HTTP: {error}") from error
        if self.head is None and self._head_size > _MAX_HEAD:
            raise EngineGoneError("the inference engine's answer has too large a head")
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def end(self) -> None:
        """The engine closed the connection."""
        if self.head is None:
            raise EngineGoneError("the inference engine closed the connection before it answered")
        if self._framed and not self.complete:
            raise EngineGoneError("the inference engine closed the connection in the middle of its answer")
        self.complete = True

    def on_message_begin(self) -> None:
        self._reason, self._headers = b"", []

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.head is not None or status < 200:
            return
        self.head = ResponseHead(status=status, reason=self._reason.decode("latin-1"), headers=tuple(self._headers))
        self._framed = any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in self._headers)
        if not self._has_body:
            self.complete = True

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self.head is not None:
            self.complete = True


class Exchange:
    """A request to the engine and its answer."""

    def __init__(self, sock: socket.socket, *, method: str, body: Framing) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._method = method
        self._body = body
        self._parser = ResponseParser(has_body=method != "HEAD")
        self._early_body = b""
        # Set when the engine reads no more. Not an error: its answer may be on the way, or here already.
        self._deaf = False
        self._writable: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls, address: str, *, method: str, target: str, headers: Iterable[Header], body: Framing
    ) -> Exchange:
        """Connects and sends the request's head."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        exchange = cls(sock, method=method, body=body)
        try:
            sock.setblocking(False)
            await exchange._loop.sock_connect(sock, address)
        except OSError as error:
            exchange.close()
            raise EngineGoneError(f"the inference engine cannot be reached: {error.strerror}") from error
        except BaseException:
            exchange.close()
            raise
        await exchange._send(request_head(method, target, headers, body))
        return exchange

    async def send(self, data: bytes) -> None:
        """Sends a piece of the request's body; waits as long as the engine takes to have room for it."""
        if data:
            await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._body.length is None else data)

    async def end(self) -> None:
        """The request's body is complete."""
        if self._body.length is None:
            await self._send(b"0\r\n\r\n")

    async def head(self) -> ResponseHead:
        """Waits for the head of the answer."""
        while self._parser.head is None:
            self._early_body = await self._receive()
        return self._parser.head

    @property
    def has_body(self) -> bool:
        """Whether something of the answer's body came with its head."""
        return bool(self._early_body)

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the answer's body, as they come."""
        if self._early_body:
            yield self._early_body
        while not self._parser.complete:
            piece = await self._receive()
            if piece:
                yield piece

    def close(self) -> None:
        """Hangs up; a `send` that waits returns. Nobody may be waiting for the answer."""
        self._deaf = True
        if self._writable is not None:
            self._on_writable(self._writable)
        self._sock.close()

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest and not self._deaf:
                rest = rest[await self._send_some(rest) :]
        except OSError:
            self._deaf = True

    async def _send_some(self, data: memoryview) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            # Not `sock_sendall`: `close` must be able to end this wait before it closes the descriptor.
            self._writable = self._loop.create_future()
            self._loop.add_writer(self._sock, self._on_writable, self._writable)
            await self._writable
            return 0

    def _on_writable(self, waiter: asyncio.Future[None]) -> None:
        self._writable = None
        self._loop.remove_writer(self._sock)
        if not waiter.done():
            waiter.set_result(None)

    async def _receive(self) -> bytes:
        try:
            data = await self._loop.sock_recv(self._sock, _READ_SIZE)
        except ConnectionError:
            # The engine closed while there was something left to read for it.
            data = b""
        if data:
            return self._parser.feed(data)
        self._parser.end()
        return b""
