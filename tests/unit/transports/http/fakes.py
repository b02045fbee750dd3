"""A connection's surroundings without sockets or processes: bytes in, bytes out, and models that answer when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from pyserve_stub.wire.layout import TensorMeta, decode_layout, encode_layout

from jupyter_pyserve.engine.devices.courier import Courier
from jupyter_pyserve.engine.job import Job, Memory, Response, Sink
from jupyter_pyserve.engine.memory.arena import Arena
from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.signature import Signature, TensorSpec
from jupyter_pyserve.settings import EngineSettings
from jupyter_pyserve.transports.http.connection import Connection
from jupyter_pyserve.transports.http.head import Gate, Head, HeadParser
from jupyter_pyserve.transports.http.replies import Reply

LIMIT = 1000


def signature(
    *, batch: int = 0, datatype: str = "FP32", dims: tuple[int, ...] = (-1,), decoupled: bool = False
) -> Signature:
    """A model that turns IN into OUT."""
    return Signature(
        model_name="m",
        max_batch_size=batch,
        inputs={"IN": TensorSpec(name="IN", datatype=datatype, dims=dims)},
        outputs={"OUT": TensorSpec(name="OUT", datatype=datatype, dims=dims)},
        decoupled=decoupled,
        batch_keys=("IN",),
    )


class FakeInstance:
    """The stub that a response comes from; it owns no memory, so it can only point at the request's."""

    def __init__(self) -> None:
        self.segments: dict[int, Any] = {}
        self.released: list[Any] = []

    def release(self, descriptors: Sequence[Any]) -> None:
        self.released.append(list(descriptors))


class FakeServable:
    """A model version whose jobs wait until a test answers them."""

    crowded = False
    takes_device_inputs = False

    def __init__(self, described: Signature | None = None) -> None:
        self.name = "m"
        self.version = 1
        self.signature = described or signature()
        self.plans: dict[Any, Any] = {}
        self.regions = ClientRegions(Courier(), enabled=False)
        self.arena = Arena("test", 64 << 20, lambda segment: None)
        self.instances: list[Any] = []
        self.outstanding = 0
        self.jobs: list[Job] = []
        self.cancelled: list[Job] = []
        self.refusal: Exception | None = None
        self.full: MemoryFull | None = None
        self.hungry: list[Callable[[], bool]] = []
        self.instance = FakeInstance()
        self.detached: list[int] = []
        self.tracer: Any = None
        self.members = ()

    def parts(self, job: Job) -> tuple[Job, ...]:
        return ()

    def new_job(self, nbytes: int, sink: Sink) -> tuple[Job, int, int]:
        if self.full is not None:
            raise self.full
        block = self.arena.allocate(nbytes)
        assert block is not None
        return Job(self, self.arena, block.id, sink), block.segment, block.offset

    def foreign_job(self, memory: Memory, block_id: int, sink: Sink) -> Job:
        return Job(self, memory, block_id, sink)

    def detach(self, segment_ids: Sequence[int]) -> None:
        self.detached += segment_ids

    def submit(self, job: Job) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.jobs.append(job)

    def wait_for_memory(self, retry: Callable[[], bool]) -> None:
        self.hungry.append(retry)

    def job_ended(self) -> None:
        self.outstanding -= 1

    def memory_freed(self) -> None:
        pass

    def cancel(self, job: Job) -> None:
        self.cancelled.append(job)
        job.cancelled = True

    def inputs(self, job: Job) -> list[bytes]:
        return [bytes(self.arena.view(item[0], item[1], item[2])) for item in job.descriptors]

    def echo(self, parameters: bytes = b"") -> None:
        """Answer the oldest job with its own inputs, renamed."""
        job = self.jobs.pop(0)
        metas = tuple(TensorMeta("OUT", code, shape) for _, code, shape in decode_layout(job.plan.layout))
        self.answer(job, metas, job.descriptors, parameters)

    def answer(self, job: Job, metas: tuple[TensorMeta, ...], where: Sequence[Any], parameters: bytes = b"") -> None:
        instance = cast(Any, self.instance)
        job.sink.deliver(job, Response(job, None, "", encode_layout(metas), metas, where, parameters, instance))

    def fail(self, code: Code, text: str) -> None:
        job = self.jobs.pop(0)
        job.sink.deliver(job, Response(job, code=code, text=text))


class FakeService:
    """Knows one model."""

    def __init__(self, servable: FakeServable) -> None:
        self.servable = servable
        self.settings = EngineSettings(http_max_input_nbytes=LIMIT)
        self.traces = TraceBook()

    def lookup(self, name: str, version: str = "") -> FakeServable:
        if name != "m":
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.servable


class FakeApplication:
    """What a connection belongs to; `answer` makes the answer of everything that is no inference."""

    def __init__(self, servable: FakeServable | None = None, gate: Gate | None = None) -> None:
        self.servable = servable or FakeServable()
        self.service: Any = FakeService(self.servable)
        self.heads = HeadParser(gate or Gate(trusted=True))
        self.connections: Any = self
        self.open = 0
        self.seen: list[tuple[bytes, bytes]] = []
        self.answer: Callable[[Head, bytes], Any] = lambda head, body: Reply(200, head.target + b" " + body)

    def opened(self, connection: Connection) -> None:
        self.open += 1

    def closed(self, connection: Connection) -> None:
        self.open -= 1

    def handle(self, head: Head, body: bytes) -> Any:
        self.seen.append((head.target, body))
        return self.answer(head, body)


class FakeTransport(asyncio.Transport):
    """Keeps what was written. When `stuck`, it pauses writers as for a client that reads nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.aborted = False
        self.reading = True
        self.stuck = False
        self.high = 64 * 1024
        self.protocol: Any = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += data
        if self.stuck and len(data) > self.high:
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return 1 if self.stuck else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = 64 * 1024 if high is None else high

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def take(self) -> bytes:
        """What was written since the last time."""
        data = bytes(self.written)
        self.written.clear()
        return data


class Wire:
    """A connection with a client's hands on it."""

    def __init__(self, app: FakeApplication | None = None) -> None:
        self.app = app or FakeApplication()
        self.transport = FakeTransport()
        self.connection = Connection(self.app)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def is_closed(self) -> bool:
        return self.transport.closed

    def is_reading(self) -> bool:
        return self.transport.reading

    @property
    def servable(self) -> FakeServable:
        return self.app.servable

    def feed(self, data: bytes, piece: int = 1 << 30) -> None:
        """Arrive as the event loop would let it: into the connection's own buffers, as far as they have room."""
        at = 0
        while at < len(data):
            assert self.transport.reading
            buffer = memoryview(self.connection.get_buffer(-1))
            count = min(len(buffer), piece, len(data) - at)
            assert count
            buffer[:count] = data[at : at + count]
            self.connection.buffer_updated(count)
            at += count

    def ask(self, data: bytes, piece: int = 1 << 30) -> bytes:
        self.feed(data, piece)
        return self.transport.take()

    def lose(self) -> None:
        self.connection.connection_lost(None)


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request with a length, unless a header says how its body is framed."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body and not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
