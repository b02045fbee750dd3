"""One call: messages in, messages and a status out, within the windows that both sides grant.

What the messages mean is the handler's. A call is over when its status has left or when the client is gone.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from jupyter_pyserve.transports.grpc import heads
from jupyter_pyserve.transports.grpc.compression import Compressor, DecompressionError, decompress
from jupyter_pyserve.transports.grpc.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    ConnectionFault,
    ErrorCode,
    head,
)
from jupyter_pyserve.transports.grpc.heads import CallHead

_log = logging.getLogger(__name__)

#: How many bytes of a call may be on their way to us, and unread, before the client waits.
WINDOW_NBYTES = 4 << 20
_CREDIT_NBYTES = WINDOW_NBYTES // 4
MAX_MESSAGE_NBYTES = 2**31 - 1
#: A larger message is decompressed on another thread, so that no other call waits for it.
_AT_ONCE_NBYTES = 4096

Piece = bytes | memoryview


class Status(enum.IntEnum):
    """Those of gRPC's status codes that are not a domain error's."""

    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Handler(Protocol):
    """Who serves a call."""

    def message(self, data: Piece) -> None:
        """One more message."""

    def end(self) -> None:
        """The client has sent its last one."""

    def cancel(self) -> None:
        """Nobody waits for answers any more."""


class Wire(Protocol):
    """What a call needs of its connection."""

    window: int
    max_frame_nbytes: int
    paused: bool

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Send; what is not the `last` of its call may wait for more until the loop's next turn."""

    def credit(self, stream: int, nbytes: int) -> None: ...

    def wait(self, call: Call) -> None:
        """Call `pump` when there is room again."""

    def ended(self, call: Call, *, whole: bool) -> None:
        """The call is over; not `whole` if the client may still be sending."""


class Call:
    """One stream of a connection."""

    __slots__ = (
        "_behind",
        "_compressor",
        "_credit",
        "_deadline",
        "_handler",
        "_headed",
        "_outgoing",
        "_partial",
        "_trailers",
        "_wire",
        "client_done",
        "head",
        "over",
        "stalled",
        "stream",
        "window",
    )

    def __init__(self, wire: Wire, stream: int, told: CallHead, window: int) -> None:
        self.stream = stream
        self.head = told
        self.window = window
        self.client_done = False
        self.over = False
        #: While this is set the client is not granted more room.
        self.stalled = False
        self._wire = wire
        self._handler: Handler | None = None
        self._partial: bytearray | None = None
        #: Messages behind one that another thread decompresses; None while none does.
        self._behind: deque[tuple[int, Piece]] | None = None
        self._credit = 0
        self._headed = False
        self._outgoing: deque[tuple[deque[Piece], Callable[[], None] | None]] = deque()
        self._trailers: bytes | None = None
        self._compressor: Compressor | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def serve(self, handler: Handler) -> None:
        """Hand what comes to a handler."""
        self._handler = handler
        if self.head.timeout_s is not None:
            self._deadline = asyncio.get_running_loop().call_later(self.head.timeout_s, self._expire)

    def compress(self, compressor: Compressor | None) -> None:
        """Compress the messages of the answer, if at all."""
        self._compressor = compressor

    # -- what comes ---------------------------------------------------------------------------------------------------

    def received(self, data: bytes, start: int, stop: int, *, end: bool, padding: int = 0) -> None:
        """The payload of a DATA frame."""
        self._credit += stop - start + padding
        if self._credit > WINDOW_NBYTES:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more was sent than there is room for")
        if self._partial is None and start + 5 + int.from_bytes(data[start + 1 : start + 5], "big") == stop > start + 4:
            self._message(data[start], data[start + 5 : stop])  # one whole message, as a rule
        elif stop > start:
            self._gather(memoryview(data)[start:stop])
        if end:
            self.finished()
        elif self._credit >= _CREDIT_NBYTES:
            self.grant()

    def finished(self) -> None:
        """The client has sent all that it has to say."""
        self.client_done = True
        if self.over or self._handler is None or self._behind is not None:
            return
        if self._partial:
            self.fail(Status.INTERNAL, "a message is cut short")
        else:
            self._handler.end()

    def grant(self) -> None:
        """Let the client send more, unless it has to wait."""
        waits = self.stalled or self.client_done or self.over or self._behind is not None
        if self._credit and not waits:
            self._wire.credit(self.stream, self._credit)
            self._credit = 0

    def _gather(self, piece: memoryview) -> None:
        if self._partial is None:
            self._partial = bytearray()
        partial = self._partial
        partial += piece
        at = 0
        while len(partial) - at >= 5 and not self.over:
            nbytes = int.from_bytes(partial[at + 1 : at + 5], "big")
            if nbytes > MAX_MESSAGE_NBYTES:
                text = f"Received message larger than max ({nbytes} vs. {MAX_MESSAGE_NBYTES})"
                self.fail(Status.RESOURCE_EXHAUSTED, text)
                break
            if len(partial) - at - 5 < nbytes:
                break
            if at == 0 and len(partial) == 5 + nbytes:
                self._partial = None
                self._message(partial[0], memoryview(partial)[5:])
                return
            self._message(partial[at], bytes(memoryview(partial)[at + 5 : at + 5 + nbytes]))
            at += 5 + nbytes
        del partial[:at]
        if not partial:
            self._partial = None

    def _message(self, flag: int, data: Piece) -> None:
        if self.over or self._handler is None:
            return
        if self._behind is not None:
            self._behind.append((flag, data))
        elif not flag:
            self._handler.message(data)
        elif len(data) <= _AT_ONCE_NBYTES:
            self._hand_over(lambda: decompress(data, self.head.encoding, MAX_MESSAGE_NBYTES))
        else:
            self._behind = deque()
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(None, decompress, data, self.head.encoding, MAX_MESSAGE_NBYTES)
            work.add_done_callback(self._decompressed)

    def _decompressed(self, done: asyncio.Future[bytes]) -> None:
        """A large message, and then what came behind it; the next large one makes the rest wait again."""
        behind, self._behind = self._behind, None
        self._hand_over(done.result)
        for flag, data in behind or ():
            self._message(flag, data)
        if self._behind is None:
            self.finished() if self.client_done else self.grant()

    def _hand_over(self, decompressed: Callable[[], bytes]) -> None:
        try:
            data = decompressed()
        except DecompressionError as error:
            self.fail(Status.INTERNAL, str(error))
            return
        except MemoryError:
            _log.exception("a message could not be decompressed")
            self.fail(Status.RESOURCE_EXHAUSTED, "there is no memory to decompress a message in")
            return
        if self._handler is not None:
            self._handler.message(data)

    # -- what goes ----------------------------------------------------------------------------------------------------

    def send(
        self, pieces: Sequence[Piece], release: Callable[[], None] | None = None, *, status: int | None = None
    ) -> None:
        """Send a message, and the status if it is the last; `release` is called when its bytes have left."""
        if self.over or self._trailers is not None:
            if release is not None:
                release()
            return
        flag = b"\x00"
        if self._compressor is not None:
            pieces, flag = [self._compressor.compress(pieces)], b"\x01"
            if release is not None:
                release()
                release = None
        nbytes = sum([len(piece) for piece in pieces])
        if status is not None:
            self._trailers = heads.trailers(status, "")
        wire = self._wire
        room = min(wire.window, self.window, wire.max_frame_nbytes)
        if nbytes + 5 > room or self._outgoing or wire.paused:
            queue: deque[Piece] = deque((flag + nbytes.to_bytes(4, "big"), *pieces))
            self._outgoing.append((queue, release))
            self.pump()
            return
        wire.window -= nbytes + 5
        self.window -= nbytes + 5
        parts = [self._start(), head(nbytes + 5, DATA, 0, self.stream), flag, nbytes.to_bytes(4, "big"), *pieces]
        if status is not None:
            parts.append(self._end())
        wire.write(b"".join(parts), last=status is not None)
        if release is not None:
            release()
        if status is not None:
            self._close()

    def answer(self, pieces: Sequence[Piece], nbytes: int, release: Callable[[], None]) -> None:
        """Send the one message, of `nbytes`, of a call that succeeds."""
        wire = self._wire
        room = min(wire.window, self.window, wire.max_frame_nbytes)
        if self._headed or self._compressor is not None or self.over or wire.paused or nbytes + 5 > room:
            self.send(pieces, release, status=0)
            return
        self._headed = True
        wire.window -= nbytes + 5
        wire.write(heads.around(self.stream, nbytes, pieces), last=True)
        release()
        self._close()

    def finish(self, status: int = 0, text: str = "") -> None:
        """Send the status, behind the messages that still wait for room."""
        if self.over or self._trailers is not None:
            return
        self._trailers = heads.trailers(status, text)
        if not self._outgoing:
            self._wire.write(self._end(), last=True)
            self._close()

    def refuse_encoding(self) -> None:
        """The client's messages are compressed in a way that nobody here knows."""
        text = f"Compression algorithm '{self.head.encoding}' is unknown to this server"
        self._trailers = heads.trailers(Status.UNIMPLEMENTED, text) + heads.KNOWN_ENCODINGS
        self._wire.write(self._end())
        self._close()

    def fail(self, status: int, text: str) -> None:
        """Break off with a status: what was going on is cancelled."""
        if self.over:
            return
        handler, self._handler = self._handler, None
        self._drop()
        self._trailers = None
        self.finish(status, text)
        if handler is not None:
            handler.cancel()

    def abort(self) -> None:
        """The client is gone."""
        if self.over:
            return
        self.over = True
        self._stop_clock()
        handler, self._handler = self._handler, None
        self._drop()
        if handler is not None:
            handler.cancel()

    def pump(self) -> None:
        """Send as much as there is room for."""
        wire, outgoing = self._wire, self._outgoing
        while outgoing:
            room = min(wire.window, self.window, wire.max_frame_nbytes)
            if room <= 0 or wire.paused:
                wire.wait(self)
                return
            pieces, release = outgoing[0]
            taken, nbytes = _take(pieces, room)
            wire.window -= nbytes
            self.window -= nbytes
            wire.write(b"".join([self._start(), head(nbytes, DATA, 0, self.stream), *taken]))
            if not pieces:
                outgoing.popleft()
                if release is not None:
                    release()
        if self._trailers is not None and not self.over:
            wire.write(self._end())
            self._close()

    def _start(self) -> bytes:
        if self._headed:
            return b""
        self._headed = True
        block = heads.HEAD if self._compressor is None else heads.head(self._compressor.name)
        return head(len(block), HEADERS, END_HEADERS, self.stream) + block

    def _end(self) -> bytes:
        block = self._trailers or b""
        if not self._headed:  # there was no message: one head is enough
            block = heads.HEAD + block
        return head(len(block), HEADERS, END_HEADERS | END_STREAM, self.stream) + block

    def _close(self) -> None:
        self.over = True
        self._handler = None
        self._stop_clock()
        self._wire.ended(self, whole=self.client_done)

    def _drop(self) -> None:
        for _, release in self._outgoing:
            if release is not None:
                release()
        self._outgoing.clear()
        self._partial = None

    def _expire(self) -> None:
        self.fail(Status.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _take(pieces: deque[Piece], room: int) -> tuple[list[Piece], int]:
    """Up to `room` bytes from the front."""
    taken: list[Piece] = []
    nbytes = 0
    while pieces and nbytes < room:
        piece = pieces.popleft()
        if len(piece) > room - nbytes:
            view = memoryview(piece)
            pieces.appendleft(view[room - nbytes :])
            piece = view[: room - nbytes]
        taken.append(piece)
        nbytes += len(piece)
    return taken, nbytes
