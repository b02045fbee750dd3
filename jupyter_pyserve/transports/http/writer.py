"""Sending: small answers in one piece, large ones in slices straight from shared memory, as the socket takes them.

What was lent for sending is given back exactly once: when its last byte has left, or when the connection is lost.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence

from jupyter_pyserve.v2.status import status_line

_SMALL_NBYTES = 64 * 1024
_SLICE_NBYTES = 1 << 20


class Writer:
    """The outgoing half of a connection; `on_sent` is called when a large answer has left."""

    __slots__ = (
        "_drained",
        "_fd",
        "_on_resume",
        "_on_sent",
        "_outgoing",
        "_release",
        "_transport",
        "paused",
        "streaming",
    )

    def __init__(self, transport: asyncio.Transport, on_sent: Callable[[], None]) -> None:
        self._transport = transport
        # The loop writes at the end of its turn; writing at once wakes the client while we still do our accounts.
        sock = transport.get_extra_info("socket")
        self._fd = sock.fileno() if sock is not None else -1
        self._on_sent = on_sent
        self._outgoing: list[memoryview] = []
        self._release: Callable[[], None] | None = None
        #: Whether the client takes nothing at the moment.
        self.paused = False
        self._on_resume: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        #: Whether a stream has begun and not ended.
        self.streaming = False

    def write(self, data: bytes) -> None:
        """Send something small."""
        if self._fd < 0 or self._transport.get_write_buffer_size() or self._transport.is_closing():
            self._transport.write(data)
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the loop sees the end of the connection too
        if sent < len(data):
            self._transport.write(data[sent:])

    def send(self, head: bytes, bodies: Sequence[memoryview], release: Callable[[], None]) -> bool:
        """Send an answer; False when the rest follows later, and `on_sent` with it."""
        nbytes = bodies[0].nbytes if len(bodies) == 1 else sum([view.nbytes for view in bodies])
        if nbytes <= _SMALL_NBYTES:
            self.write(b"".join([head, *bodies]))
            release()
            return True
        self._outgoing = list(reversed(bodies))
        self._release = release
        # Every byte that the socket does not take at once must pause us: that is how we learn when the last has left.
        self._transport.set_write_buffer_limits(high=0)
        self.write(head)
        return self._send_some()

    def pause(self) -> None:
        """The transport's buffer is full."""
        self.paused = True

    def resume(self) -> None:
        """The transport's buffer is empty again."""
        self.paused = False
        if self._release is not None:
            if self._send_some():
                self._on_sent()
        elif self._on_resume is not None:
            self._on_resume()

    def begin(self, status: int, content_type: bytes, connection: bytes, on_resume: Callable[[], None]) -> None:
        """Begin an answer in pieces; `on_resume` is called whenever the client takes more again."""
        self._on_resume = on_resume
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n%b\r\n"
        self._transport.write(head % (status_line(status), content_type, connection))

    def chunk(self, data: bytes) -> None:
        """One piece of it."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """That was all of it."""
        self._on_resume = None
        self._transport.write(b"0\r\n\r\n")

    async def stream(self, chunks: AsyncIterator[bytes], content_type: bytes) -> bool:
        """Send pieces as they come; an error before the first has not sent anything.

        False when the connection turned out to be closed, which `abandon` is about to say.
        """
        chunk = await anext(chunks, None)
        self.streaming = True
        self.begin(200, content_type, b"", self._go_on)
        while chunk is not None:
            if self._transport.is_closing():
                return False
            self.chunk(chunk)
            if self.paused:
                self._drained = asyncio.get_running_loop().create_future()
                await self._drained
            chunk = await anext(chunks, None)
        if self._transport.is_closing():
            return False
        self.end()
        self.streaming = False
        return True

    def _go_on(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def break_off(self) -> None:
        """End the connection in the middle of a stream, so that nobody takes it for whole."""
        self._transport.abort()

    def abandon(self) -> None:
        """The connection is lost."""
        self._outgoing.clear()
        self.paused = False  # a stream has nobody left to wait for
        self._on_resume = None
        self._give_back()
        self._go_on()

    def _send_some(self) -> bool:
        """Write slices while the socket takes them; whether that was all."""
        outgoing = self._outgoing
        while outgoing and not self.paused:
            view = outgoing[-1]
            if view.nbytes > _SLICE_NBYTES:
                outgoing[-1] = view[_SLICE_NBYTES:]
                self._transport.write(view[:_SLICE_NBYTES])
            else:
                outgoing.pop()
                self._transport.write(view)
        if outgoing or self.paused:
            return False
        self._transport.set_write_buffer_limits()
        self._give_back()
        return True

    def _give_back(self) -> None:
        release, self._release = self._release, None
        if release is not None:
            release()
