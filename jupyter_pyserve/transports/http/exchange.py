"""One request and its answer at a time: what a whole request does, and how its answer gets onto the connection.

The sink of inference requests. Knows nothing of how bytes come in; `on_answered` tells the connection to go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.telemetry.traces import Front
from jupyter_pyserve.transports.http import inference
from jupyter_pyserve.transports.http.generation import Generation
from jupyter_pyserve.transports.http.head import Head
from jupyter_pyserve.transports.http.repeats import Repeats
from jupyter_pyserve.transports.http.replies import JSON, TEXT, Reply, Stream, failure
from jupyter_pyserve.transports.http.writer import Writer
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.compression import Encoding, compress, decompress
from jupyter_pyserve.v2.infer import ContentError, inference_header_length
from jupyter_pyserve.v2.routes import Endpoint, Route

_log = logging.getLogger(__name__)


#: More is compressed and decompressed on another thread, so that nobody else waits for it.
_AT_ONCE_NBYTES = 4096


class Application(Protocol):
    """Who answers requests."""

    @property
    def service(self) -> Service: ...

    def handle(self, head: Head, body: bytes) -> Any:
        """Answer a request that is not an inference: a `Reply`, a `Stream`, or an awaitable of either."""


class Exchange:
    """The request that a connection is serving. `connection_header` is the line that its answer must carry, if any."""

    __slots__ = (
        "_app",
        "_connection_header",
        "_encoding",
        "_generation",
        "_job",
        "_limit",
        "_on_answered",
        "_task",
        "_writer",
        "closed",
        "received_ns",
        "repeats",
    )

    def __init__(
        self,
        app: Application,
        writer: Writer,
        connection_header: Callable[[], bytes],
        on_answered: Callable[[], None],
    ) -> None:
        self._app = app
        self._writer = writer
        self._connection_header = connection_header
        self._on_answered = on_answered
        self._limit = app.service.settings.http_max_input_nbytes
        #: Of the answer to an inference.
        self._encoding = Encoding.IDENTITY
        self.repeats = Repeats(app.service.lookup)
        self._job: Job | None = None
        self._generation: Generation | None = None
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        #: When the request began to arrive, where traces are taken.
        self.received_ns = 0

    def _behind_watch(self, head: Head, servable: LoadedVersion, sink: Sink) -> Sink:
        """Who gets the answer, behind a watch if the request is traced."""
        tracer = servable.tracer
        if tracer is None:
            return sink
        now_ns = time.monotonic_ns()
        return tracer.watch(sink, Front.HTTP, (self.received_ns or now_ns, now_ns), head.trace_context)

    def submit(self, head: Head, landing: inference.Landing) -> None:
        """Queue an inference whose body has landed."""
        self._encoding = head.accepted_encoding
        if landing.servable.tracer is not None:
            landing.job.sink = self._behind_watch(head, landing.servable, self)
        try:
            header = inference.submit(landing, self._limit, head.forwarded)
        except Exception as error:  # noqa: BLE001 - the top of a transport
            self._fail(landing.job, error)
        else:
            self._job = landing.job
            self.repeats.remember(head, landing, header)

    def submit_again(self, head: Head, servable: LoadedVersion, job: Job) -> None:
        """Queue a request that is the one before again."""
        self._encoding = head.accepted_encoding
        try:
            servable.submit(job)
        except Exception as error:  # noqa: BLE001 - the top of a transport
            self._fail(job, error)
        else:
            self._job = job

    def _fail(self, job: Job, error: Exception) -> None:
        """A request could not be queued."""
        job.finish()
        if isinstance(error, PyServeError):
            self.reply(failure(error, TEXT if isinstance(error, ContentError) else JSON))
        else:
            self._break("an inference request failed")

    def dispatch(self, head: Head, body: bytes) -> None:
        """Serve a request whose body is here."""
        try:
            if isinstance(head.route, Route) and head.route.endpoint is Endpoint.INFER:
                self._infer(head, head.route, body)
                return
            if isinstance(head.route, Route) and head.route.endpoint in (Endpoint.GENERATE, Endpoint.GENERATE_STREAM):
                self._generate(head, head.route, body)
                return
            answer = self._app.handle(head, body)
        except PyServeError as error:
            self.reply(failure(error))
            return
        except Exception:  # noqa: BLE001 - the top of a transport
            self._break("a request failed")
            return
        if isinstance(answer, Reply):
            self.reply(answer)
        else:
            self._task = asyncio.get_running_loop().create_task(self._answer_later(head, answer))

    def _infer(self, head: Head, route: Route, body: bytes) -> None:
        inference.check(head, self._app.service.lookup(route.model, route.version))
        if head.content_encoding is Encoding.IDENTITY:
            self._infer_plain(head, route, body)
        elif len(body) <= _AT_ONCE_NBYTES:
            self._infer_expanded(head, route, lambda: decompress(body, self._limit))
        else:
            expanding = asyncio.get_running_loop().run_in_executor(None, decompress, body, self._limit)
            expanding.add_done_callback(lambda done: self._infer_expanded(head, route, done.result))

    def _infer_expanded(self, head: Head, route: Route, expanded: Callable[[], bytes]) -> None:
        """Serve a request that was compressed."""
        try:
            body = expanded()  # asked of a client that has gone as well: an error that nobody takes is a traceback
        except PyServeError as error:
            if not self.closed:
                self.reply(failure(error, TEXT))
            return
        if self.closed:
            return
        try:
            self._infer_plain(head, route, body)
        except PyServeError as error:
            self.reply(failure(error))
        except Exception:  # noqa: BLE001 - the top of a transport
            self._break("an inference request failed")

    def _infer_plain(self, head: Head, route: Route, body: bytes) -> None:
        try:
            header_nbytes = inference_header_length(head.inference_header, len(body)) if body else 0
        except PyServeError as error:
            self.reply(failure(error, TEXT))
            return
        servable = self._app.service.lookup(route.model, route.version)
        if header_nbytes is None:
            self._encoding = head.accepted_encoding
            sink = self if servable.tracer is None else self._behind_watch(head, servable, self)
            self._job = inference.submit_json(servable, body, self._limit, sink, head.forwarded)
            return
        landing = inference.land(servable, len(body), header_nbytes, self)
        landing.view[:] = body
        self.submit(head, landing)

    def _generate(self, head: Head, route: Route, body: bytes) -> None:
        servable = self._app.service.lookup(route.model, route.version)
        self._generation = generation = Generation(
            servable,
            self._writer,
            self._connection_header(),
            self._generated,
            streaming=route.endpoint is Endpoint.GENERATE_STREAM,
        )
        sink = generation if servable.tracer is None else self._behind_watch(head, servable, generation)
        generation.submit(head, body, self._limit, sink)

    def _generated(self) -> None:
        self._generation = None
        self._on_answered()

    async def _answer_later(self, head: Head, answer: Any) -> None:
        reply: Reply | None = None
        try:
            found = answer if isinstance(answer, Stream) else await answer
            if isinstance(found, Stream):
                async with contextlib.aclosing(found.chunks):
                    if not await self._writer.stream(found.chunks, found.content_type):
                        self._writer.break_off()
                        return
            else:
                reply = found
        except PyServeError as error:
            reply = failure(error)
        except Exception:  # noqa: BLE001 - the top of a transport
            _log.exception("a request to %s failed", head.target.decode("latin-1"))
            reply = Reply(500, metadata.error("internal error"))
        self._task = None
        if reply is None:
            self._on_answered()
        elif self._writer.streaming:
            self._writer.break_off()  # half an answer is out: another one behind it would be taken for its end
        else:
            self.reply(reply)

    def deliver(self, job: Job, response: Response) -> None:
        """The answer to an inference request."""
        self._job = None
        if self.closed:
            response.release()
        elif response.code is not None:
            response.release()
            self.reply(failure(PyServeError(response.code, response.text), TEXT))
        else:
            self._send(job, response)

    def _send(self, job: Job, response: Response) -> None:
        plan = job.plan
        try:
            layout, tensors, views = intake.settle(response, plan.classification)
            head = plan.head(layout, tensors, views, response.parameters)
            bodies = plan.binary_views(tensors, views)
        except PyServeError as error:
            response.release()
            self.reply(failure(error, TEXT))
            return
        except (WireError, ValueError, TypeError) as error:
            response.release()
            self.reply(failure(PyServeError(Code.INTERNAL, f"the model's response cannot be read: {error}"), TEXT))
            return
        connection = self._connection_header()
        if connection:
            head = head.replace(b"\r\n", b"\r\n" + connection, 1)
        if self._encoding is not Encoding.IDENTITY:
            self._send_compressed(head, bodies, response.release)
        elif self._writer.send(head, bodies, response.release):
            self._on_answered()

    def _send_compressed(self, head: bytes, bodies: Sequence[memoryview], release: Callable[[], None]) -> None:
        lines, _, body = head.partition(b"\r\n\r\n")
        parts: list[bytes | memoryview] = [body, *bodies]
        work = functools.partial(compress, parts, self._encoding)
        if sum([len(part) for part in parts]) <= _AT_ONCE_NBYTES:
            self._compressed(lines, release, work)
        else:
            compressing = asyncio.get_running_loop().run_in_executor(None, work)
            compressing.add_done_callback(lambda done: self._compressed(lines, release, done.result))

    def _compressed(self, lines: bytes, release: Callable[[], None], compressed: Callable[[], bytes]) -> None:
        """Send what is compressed, without the length that it had."""
        try:
            body = compressed()
        except Exception:  # noqa: BLE001 - the top of a transport
            self._break("an answer could not be compressed")
            return
        finally:
            release()
        if self.closed:
            return
        kept = lines[: lines.rindex(b"\r\n")]
        head = b"%b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
        if self._writer.send(head % (kept, self._encoding.value, len(body)), [memoryview(body)], _nothing):
            self._on_answered()

    def _break(self, what: str) -> None:
        """Something went wrong that nobody has thought of."""
        _log.exception(what)
        if not self.closed:
            self.reply(Reply(500, metadata.error("internal error")))

    def reply(self, reply: Reply) -> None:
        """Answer with something small."""
        self._writer.write(reply.encode(self._connection_header()))
        self._on_answered()

    def abandon(self) -> None:
        """The client is gone."""
        self.closed = True
        if self._job is not None:
            job, self._job = self._job, None
            job.owner.cancel(job)
        if self._generation is not None:
            self._generation.abandon()
            self._generation = None
        if self._task is not None:
            self._task.cancel()
        self._writer.abandon()


def _nothing() -> None:
    """There is nothing to release."""
