"""One HTTP/2 connection: frames in, calls by their streams, and the windows that both sides grant.

Knows the protocol's rules and what its abuses are; what a call is for is decided by who is asked in `begin`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol, cast

from jupyter_pyserve.settings import KeepaliveSettings
from jupyter_pyserve.transports.grpc import frames, heads
from jupyter_pyserve.transports.grpc.call import WINDOW_NBYTES, Call
from jupyter_pyserve.transports.grpc.frames import ConnectionFault, ErrorCode, Setting
from jupyter_pyserve.transports.grpc.heads import CallHead, HeadDecoder
from jupyter_pyserve.transports.grpc.keepalive import Keepalive

_log = logging.getLogger(__name__)

#: Of all calls of a connection together; large, because each call has a window of its own.
_CONNECTION_WINDOW_NBYTES = 1 << 30
_CONNECTION_CREDIT_NBYTES = 1 << 24
_MAX_STREAMS = 10_000
#: Answers to a client that asks and does not read.
_MAX_UNREAD = 10_000
#: Clients take larger ones, but what is behind them waits longer.
_MAX_FRAME_NBYTES = 1 << 18
_WRITE_HIGH_NBYTES = 1 << 20
#: What is larger does not wait for company.
_HELD_NBYTES = 8 * 1024
_PREFACE_TIMEOUT_S = 60.0
#: Of DATA frames, which are used as they come; other ones have to be here as a whole.
_MAX_DATA_NBYTES = 1 << 20
_MAX_OTHER_NBYTES = 1 << 16

_GREETING = frames.settings(
    {
        Setting.MAX_CONCURRENT_STREAMS: _MAX_STREAMS,
        Setting.INITIAL_WINDOW_SIZE: WINDOW_NBYTES,
        Setting.MAX_FRAME_SIZE: _MAX_DATA_NBYTES,
        Setting.MAX_HEADER_LIST_SIZE: heads.MAX_LIST_NBYTES,
    }
) + frames.window_update(0, _CONNECTION_WINDOW_NBYTES)


class Application(Protocol):
    """What a connection asks of the server that it belongs to."""

    @property
    def keepalive(self) -> KeepaliveSettings: ...

    def opened(self, connection: Connection) -> None:
        """One more connection."""

    def closed(self, connection: Connection) -> None:
        """One less."""

    def begin(self, call: Call) -> None:
        """Serve a call, or fail it."""


class Connection(asyncio.Protocol):
    """The protocol of one client connection, and the wire of its calls."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._transport: asyncio.Transport
        self._keepalive: Keepalive
        self._preface: asyncio.TimerHandle
        self._greeted = False
        self._closing = False
        # what comes
        self._rest = b""
        self._heads = HeadDecoder()
        self._block: tuple[int, int, bytearray] | None = None
        # The DATA frame of which a part has come: what is missing, its flags and its stream.
        self._missing = 0
        self._begun = (0, 0)
        self._last_stream = 0
        self._credit = 0
        self._calls: dict[int, Call] = {}
        # what goes
        self.window = frames.DEFAULT_WINDOW
        self.max_frame_nbytes = frames.DEFAULT_FRAME_NBYTES
        self.paused = False
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._unread = 0
        self._initial_window = frames.DEFAULT_WINDOW
        self._waiting: dict[Call, None] = {}

    # -- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_NBYTES)
        self._keepalive = Keepalive(self._app.keepalive, self)
        self._preface = self._loop.call_later(_PREFACE_TIMEOUT_S, self._transport.abort)
        self._transport.write(_GREETING)
        self._app.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._keepalive.heard()
        if self._rest:
            data = self._rest + data
            self._rest = b""
        try:
            at = 0 if self._greeted else self._greet(data)
            self._rest = data[self._read(data, at) :]
        except ConnectionFault as fault:
            self.break_off(fault.code, str(fault))
        except Exception:  # noqa: BLE001 - the top of a transport
            _log.exception("a connection is closed")
            self.break_off(ErrorCode.INTERNAL_ERROR, "")

    def connection_lost(self, exc: Exception | None) -> None:
        self._preface.cancel()
        self._keepalive.stop()
        self._closing = True
        for call in list(self._calls.values()):
            call.abort()
        self._calls.clear()
        self._waiting.clear()
        self._app.closed(self)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._pump()

    # -- ending -------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether calls are going on."""
        return bool(self._calls)

    def shutdown(self) -> None:
        """Take no more calls, and close after the last one that there is."""
        if not self._closing:
            self._closing = True
            self._put(frames.goaway(self._last_stream, ErrorCode.NO_ERROR))
            self._close_if_done()

    def break_off(self, code: ErrorCode, text: str) -> None:
        """Close, and say why; what was going on is cancelled."""
        self._closing = True
        self._put(frames.goaway(self._last_stream, code, text.encode("ascii", "replace")))
        self._flush()
        self._transport.close()
        for call in list(self._calls.values()):
            call.abort()
        self._calls.clear()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def ping(self) -> None:
        """Ask the client whether it is there."""
        self._put(frames.frame(frames.PING, 0, 0, b"pyserve\0"))

    # -- the wire of calls --------------------------------------------------------------------------------------------

    def write(self, data: bytes, *, last: bool = False) -> None:
        self._keepalive.spoke()
        if (last and len(self._calls) == 1) or len(data) > _HELD_NBYTES:
            self._flush()
            self._transport.write(data)
        else:
            self._put(data)

    def _put(self, data: bytes) -> None:
        """Send together with whatever else is sent at this turn of the loop: each write of its own wakes the client."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))

    def credit(self, stream: int, nbytes: int) -> None:
        self._put(frames.window_update(stream, nbytes))

    def wait(self, call: Call) -> None:
        self._waiting[call] = None

    def ended(self, call: Call, *, whole: bool) -> None:
        if self._calls.pop(call.stream, None) is not None and not whole:
            self._put(frames.rst_stream(call.stream, ErrorCode.NO_ERROR))
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._closing and not self._calls:
            self._flush()
            self._transport.close()

    def _pump(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for call in waiting:
            if self.paused or self.window <= 0:
                self._waiting[call] = None
            else:
                call.pump()

    # -- frames -------------------------------------------------------------------------------------------------------

    def _greet(self, data: bytes) -> int:
        if not frames.PREFACE.startswith(data[: len(frames.PREFACE)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this port speaks HTTP/2")
        if len(data) < len(frames.PREFACE):
            return 0
        self._greeted = True
        self._preface.cancel()
        return len(frames.PREFACE)

    def _read(self, data: bytes, at: int) -> int:
        """Use all whole frames; where the rest begins."""
        end = len(data)
        unpack, nbytes = frames.HEAD.unpack_from, frames.HEAD_NBYTES
        if self._missing:
            at = self._go_on(data, at)
        while self._greeted and end - at >= nbytes:
            high, low, kind, flags, stream = unpack(data, at)
            size = high << 16 | low
            if size > (_MAX_OTHER_NBYTES if kind != frames.DATA else _MAX_DATA_NBYTES):
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is too large")
            if self._block is not None and kind != frames.CONTINUATION:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a head is interrupted")
            start = at + nbytes
            if start + size > end:
                if kind == frames.DATA and not flags & frames.PADDED:
                    self._missing, self._begun = size, (flags, stream & frames.STREAM_MASK)
                    at = self._go_on(data, start)
                break
            at = start + size
            if kind == frames.DATA:
                self._on_data(flags, stream & frames.STREAM_MASK, data, start, at)
            elif kind == frames.HEADERS and flags == frames.END_HEADERS:
                self._on_head(flags, stream & frames.STREAM_MASK, data[start:at])
            else:
                use = _READERS.get(kind)
                if use is not None:
                    use(self, flags, stream & frames.STREAM_MASK, data[start:at])
        return at

    def _go_on(self, data: bytes, at: int) -> int:
        """Use what has come of a DATA frame."""
        stop = min(len(data), at + self._missing)
        if stop > at:
            self._missing -= stop - at
            flags, stream = self._begun
            self._on_data(flags if not self._missing else 0, stream, data, at, stop)
        return stop

    def _on_data(self, flags: int, stream: int, data: bytes, start: int, stop: int) -> None:
        self._credit += stop - start
        if self._credit >= _CONNECTION_CREDIT_NBYTES:
            self.credit(0, self._credit)
            self._credit = 0
        call = self._calls.get(stream)
        if call is None:
            self._require_closed(stream)
            return
        size = stop - start
        if flags & frames.PADDED:
            start, stop = frames.payload_of(data, start, stop, frames.PADDED)
        call.received(data, start, stop, end=bool(flags & frames.END_STREAM), padding=size - (stop - start))

    def _require_closed(self, stream: int) -> None:
        """Frames of a call that is over are late, those of one that never was are wrong."""
        if stream > self._last_stream or not stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame of no stream")

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        start, stop = frames.payload_of(payload, 0, len(payload), flags)
        block = payload[start:stop]
        if flags & frames.END_HEADERS:
            self._on_head(flags, stream, block)
        else:
            self._block = (flags, stream, bytearray(block))

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[1] != stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the continuation of no head")
        begun, _, block = self._block
        block += payload
        if len(block) > heads.MAX_LIST_NBYTES or not payload:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a head is too large")
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_head(begun, stream, bytes(block))

    def _on_head(self, flags: int, stream: int, block: bytes) -> None:
        told = self._heads.decode(block)
        known = self._calls.get(stream)
        if known is not None:  # what a client says last
            known.finished()
        elif stream <= self._last_stream:
            self._require_closed(stream)
        elif not stream % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client's streams are odd")
        elif self._closing or len(self._calls) >= _MAX_STREAMS:
            self._last_stream = stream
            self._put(frames.rst_stream(stream, ErrorCode.REFUSED_STREAM))
        else:
            self._last_stream = stream
            self._open(stream, told, done=bool(flags & frames.END_STREAM))

    def _open(self, stream: int, told: CallHead, *, done: bool) -> None:
        if told.problem:
            block = heads.not_a_call(told.problem)
            flags = frames.END_HEADERS | frames.END_STREAM
            self.write(frames.frame(frames.HEADERS, flags, stream, block))
            return
        call = self._calls[stream] = Call(self, stream, told, self._initial_window)
        self._app.begin(call)
        if done:
            call.finished()

    def _on_rst_stream(self, flags: int, stream: int, payload: bytes) -> None:
        frames.number(payload)
        self._require_closed(stream)
        call = self._calls.pop(stream, None)
        if call is not None:
            self._waiting.pop(call, None)
            call.abort()
            self._close_if_done()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for key, value in frames.read_settings(payload):
            if key == Setting.INITIAL_WINDOW_SIZE:
                if value > frames.MAX_WINDOW:
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
                for call in self._calls.values():
                    call.window += value - self._initial_window
                self._initial_window = value
            elif key == Setting.MAX_FRAME_SIZE:
                if not frames.DEFAULT_FRAME_NBYTES <= value <= frames.LARGEST_FRAME_NBYTES:
                    raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame size is out of range")
                self.max_frame_nbytes = min(value, _MAX_FRAME_NBYTES)
        self._answer(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._pump()

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a ping has a wrong size")
        if flags & frames.ACK:
            self._keepalive.acknowledged()
            return
        if self._keepalive.pinged():
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
        self._answer(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _answer(self, data: bytes) -> None:
        self._unread = self._unread + 1 if self._transport.get_write_buffer_size() else 0
        if self._unread > _MAX_UNREAD:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "answers are not read")
        self._put(data)

    def _on_window_update(self, flags: int, stream: int, payload: bytes) -> None:
        increment = frames.number(payload) & frames.STREAM_MASK
        if not stream:
            self.window += increment
            if not increment or self.window > frames.MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
            self._pump()
            return
        call = self._calls.get(stream)
        if call is None:
            self._require_closed(stream)
            return
        call.window += increment
        if not increment or call.window > frames.MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a window is too large")
        call.pump()

    def _on_wrong(self, flags: int, stream: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "clients push nothing")


_READERS: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    frames.HEADERS: Connection._on_headers,
    frames.RST_STREAM: Connection._on_rst_stream,
    frames.SETTINGS: Connection._on_settings,
    frames.PUSH_PROMISE: Connection._on_wrong,
    frames.PING: Connection._on_ping,
    frames.WINDOW_UPDATE: Connection._on_window_update,
    frames.CONTINUATION: Connection._on_continuation,
}
