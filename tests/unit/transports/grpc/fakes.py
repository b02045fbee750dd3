"""The client's end of a gRPC connection without a socket: frames in, frames out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

import hpack

from jupyter_pyserve.settings import KeepaliveSettings
from jupyter_pyserve.transports.grpc import frames
from jupyter_pyserve.transports.grpc.call import Call, Piece
from jupyter_pyserve.transports.grpc.connection import Connection
from jupyter_pyserve.transports.grpc.frames import ErrorCode
from tests.unit.transports.http.fakes import FakeTransport

HEADERS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/s/m"),
    (":authority", "here"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


class Recorder:
    """A handler that notes what happens."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.messages: list[bytes] = []
        self.ended = False
        self.cancelled = False

    def message(self, data: Piece) -> None:
        self.messages.append(bytes(data))

    def end(self) -> None:
        self.ended = True

    def cancel(self) -> None:
        self.cancelled = True


class Recording:
    """Serves every call with a recorder."""

    def __init__(self, keepalive: KeepaliveSettings | None = None) -> None:
        self.keepalive = keepalive or KeepaliveSettings()
        self.calls: list[Recorder] = []
        self.open = 0

    def opened(self, connection: Connection) -> None:
        self.open += 1

    def closed(self, connection: Connection) -> None:
        self.open -= 1

    def begin(self, call: Call) -> None:
        recorder = Recorder(call)
        self.calls.append(recorder)
        call.serve(recorder)


class Application(Protocol):
    @property
    def keepalive(self) -> KeepaliveSettings: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...

    def begin(self, call: Call) -> None: ...


class Client:
    """Speaks to one connection; made inside a running loop."""

    def __init__(self, app: Application, *, greet: bool = True) -> None:
        self.transport = FakeTransport()
        self.connection = Connection(app)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)
        self._encoder = hpack.Encoder()
        self._decoder = hpack.Decoder()
        self._rest = b""
        self._next = 1
        if greet:
            self.feed(frames.PREFACE + frames.settings({}))
            self._taken: list[Frame] = []

    def is_closed(self) -> bool:
        return self.transport.closed

    def feed(self, data: bytes, piece: int = 1 << 30) -> None:
        for at in range(0, len(data), piece):
            self.connection.data_received(data[at : at + piece])

    def block(self, *extra: tuple[str, str]) -> bytes:
        """A head, in which later fields replace earlier ones."""
        return bytes(self._encoder.encode(list({**dict(HEADERS), **dict(extra)}.items())))

    def begin(self, *extra: tuple[str, str], flags: int = frames.END_HEADERS) -> int:
        """Open a stream."""
        stream, self._next = self._next, self._next + 2
        self.feed(frames.frame(frames.HEADERS, flags, stream, self.block(*extra)))
        return stream

    def send(self, stream: int, *messages: bytes, end: bool = True, piece: int = 1 << 30) -> None:
        """Messages in one DATA frame."""
        self.feed(data(stream, b"".join(map(message, messages)), end=end), piece)

    def ask(self, *messages: bytes, extra: tuple[tuple[str, str], ...] = ()) -> int:
        stream = self.begin(*extra)
        self.send(stream, *messages)
        return stream

    async def frames(self) -> list[Frame]:
        """What has been sent since the last time."""
        await asyncio.sleep(0)  # what is held leaves at the next turn
        written = self._rest + self.transport.take()
        found = []
        while len(written) >= frames.HEAD_NBYTES:
            high, low, kind, flags, stream = frames.HEAD.unpack_from(written)
            end = frames.HEAD_NBYTES + (high << 16 | low)
            if end > len(written):
                break
            found.append(Frame(kind, flags, stream, written[frames.HEAD_NBYTES : end]))
            written = written[end:]
        self._rest = written
        return found

    def fields(self, frame: Frame) -> dict[str, str]:
        assert frame.kind == frames.HEADERS
        return {str(name): str(value) for name, value in self._decoder.decode(frame.payload)}

    async def answer(self, stream: int) -> tuple[list[bytes], dict[str, str]]:
        """The messages and the trailers of a call, all of which must have been sent."""
        found = [frame for frame in await self.frames() if frame.stream == stream]
        heads = [frame for frame in found if frame.kind == frames.HEADERS]
        assert self.fields(heads[0])[":status"] == "200"
        assert heads[-1].flags & frames.END_STREAM
        trailers = self.fields(heads[-1])
        body = b"".join(frame.payload for frame in found if frame.kind == frames.DATA)
        return messages_of(body), trailers

    async def fault(self) -> tuple[ErrorCode, str]:
        """The GOAWAY that ended the connection."""
        (last,) = [frame for frame in await self.frames() if frame.kind == frames.GOAWAY]
        assert self.transport.closed
        return ErrorCode(int.from_bytes(last.payload[4:8], "big")), last.payload[8:].decode()


def message(data: bytes, *, flag: int = 0) -> bytes:
    return bytes((flag,)) + len(data).to_bytes(4, "big") + data


def data(stream: int, payload: bytes, *, end: bool = True) -> bytes:
    return frames.frame(frames.DATA, frames.END_STREAM if end else 0, stream, payload)


def messages_of(body: bytes) -> list[bytes]:
    found = []
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        found.append(body[5:end])
        body = body[end:]
    return found


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine."""
    asyncio.run(scenario())
