"""One HTTP/1.1 connection: heads and bodies in, answers out, one request at a time, in order.

Bodies of inference requests are received straight into shared memory, and large answers are sent straight from it.
Knows framing; what a request means is decided in `inference` and `endpoints`.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from typing import Any, Protocol, cast

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.servable import MemoryFull, Servable
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http import inference
from jupyter_pyserve.transports.http.chunks import Dechunker
from jupyter_pyserve.transports.http.head import Access, Head, HeadError, HeadParser
from jupyter_pyserve.transports.http.inbox import Inbox
from jupyter_pyserve.transports.http.replies import JSON, TEXT, Reply, Stream, denied, failure
from jupyter_pyserve.transports.http.writer import Writer
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.infer import ContentError, inference_header_length
from jupyter_pyserve.v2.routes import Endpoint, Route, RouteError

_log = logging.getLogger(__name__)

#: How long a request waits for room in its model's memory.
_MEMORY_TIMEOUT_S = 10.0


class Register(Protocol):
    """Who keeps account of open connections."""

    def opened(self, connection: Connection) -> None:
        """One more."""

    def closed(self, connection: Connection) -> None:
        """One less."""


class Application(Protocol):
    """What a connection asks of the server that it belongs to."""

    @property
    def service(self) -> Service: ...

    @property
    def heads(self) -> HeadParser: ...

    @property
    def connections(self) -> Register: ...

    def handle(self, head: Head, body: bytes) -> Any:
        """Answer a request that is not an inference: a `Reply`, a `Stream`, or an awaitable of either."""


class State(enum.Enum):
    """Where a connection is in the request that it is serving."""

    HEAD = "head"
    LANDING = "landing"  # the body goes to shared memory
    GATHERING = "gathering"  # the body goes to memory of its own
    CHUNKED = "chunked"
    SKIPPING = "skipping"
    WAITING = "waiting"  # for memory to put the body into
    ANSWERING = "answering"
    CLOSED = "closed"


class Connection(asyncio.BufferedProtocol):
    """The protocol of one client connection, and the sink of its inference requests."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._heads = app.heads
        self._lookup = app.service.lookup
        self._limit = app.service.settings.http_max_input_nbytes
        # per connection
        self._transport: asyncio.Transport
        self._writer: Writer
        self._inbox = Inbox()
        self._reading_paused = False
        self._close_after = False
        # per request
        self._state = State.HEAD
        self._head: Head | None = None
        self._landing: inference.Landing | None = None
        self._target = memoryview(b"")
        self._got = 0
        self._skip = 0
        self._refusal: Reply | None = None
        self._chunks: Dechunker | None = None
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writer = Writer(self._transport, self._sent)
        self._app.connections.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._state is State.LANDING or self._state is State.GATHERING:
            return self._target[self._got :]
        return self._inbox.room()

    def buffer_updated(self, nbytes: int) -> None:
        if self._state is State.LANDING or self._state is State.GATHERING:
            self._got += nbytes
            if self._got == len(self._target):
                self._body_complete()
            return
        self._inbox.filled(nbytes)
        if self._state is not State.ANSWERING:
            self._proceed()
        elif self._inbox.full():  # until then reading goes on, to notice the client's end
            self._reading_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self._app.connections.closed(self)
        if self._landing is not None:
            self._landing.job.unref()
            self._landing = None
        if self._job is not None:
            job, self._job = self._job, None
            job.owner.cancel(job)
        if self._task is not None:
            self._task.cancel()
        self._writer.abandon()

    def pause_writing(self) -> None:
        self._writer.pause()

    def resume_writing(self) -> None:
        self._writer.resume()

    def shutdown(self) -> None:
        """Close now if nothing is being answered, else after the answer."""
        self._close_after = True
        if self._state is State.HEAD:
            self._transport.close()

    # -- what has come ------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Use it, as far as it goes."""
        going = True
        while going:
            if self._state is State.HEAD:
                going = self._next_head()
            elif self._state is State.SKIPPING:
                going = self._skip_some()
            elif self._state is State.CHUNKED:
                going = self._dechunk_some()
            else:
                going = False

    def _next_head(self) -> bool:
        data = self._inbox.take_head()
        if data is None:
            if self._inbox.full():
                self._close_after = True
                self._reply(Reply(431, metadata.error("the request head is too large")))
            return False
        try:
            self._head = head = self._heads.parse(data)
        except HeadError:
            self._state = State.CLOSED
            self._transport.abort()  # as Triton: not a word to what is not HTTP
            return False
        self._begin(head)
        return True

    # -- what a head begins -------------------------------------------------------------------------------------------

    def _begin(self, head: Head) -> None:
        if head.expects_continue and not self._inbox:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        route = head.route
        if head.access is not Access.GRANTED:
            self._refuse(head, denied(head.access))
        elif head.control is None and isinstance(route, RouteError):
            self._refuse(head, Reply(route.status, metadata.error(route.message), head.error_type))
        elif head.chunked:
            self._chunks = Dechunker(self._limit)
            self._state = State.CHUNKED
        elif isinstance(route, Route) and route.endpoint is Endpoint.INFER:
            try:
                self._begin_inference(head, route)
            except PyServeError as error:
                self._refuse(head, failure(error, TEXT))
        else:
            self._gather(head)

    def _begin_inference(self, head: Head, route: Route) -> None:
        servable = self._lookup(route.model, route.version)
        inference.check(head, servable)
        nbytes, header_nbytes = head.content_length, head.header_nbytes
        if head.header_problem is not None:
            raise head.header_problem
        if header_nbytes is None:
            self._gather(head)
            return
        try:
            self._land(inference.land(servable, nbytes, header_nbytes, self), nbytes)
        except MemoryFull as full:
            if full.for_good:
                raise
            self._wait_for_memory(head, servable, header_nbytes, full)

    def _wait_for_memory(self, head: Head, servable: Servable, header_nbytes: int, full: MemoryFull) -> None:
        """Leave the body where it is until there is room, as long as a request may wait for that."""
        self._state = State.WAITING
        self._transport.pause_reading()

        def retry() -> bool:
            if self._state is not State.WAITING:
                return True
            try:
                landing = inference.land(servable, head.content_length, header_nbytes, self)
            except MemoryFull:
                return False
            timer.cancel()
            self._transport.resume_reading()
            self._land(landing, head.content_length)
            self._proceed()
            return True

        def give_up() -> None:
            if self._state is State.WAITING:
                self._transport.resume_reading()
                self._refuse(head, failure(full, TEXT))
                self._proceed()

        timer = asyncio.get_running_loop().call_later(_MEMORY_TIMEOUT_S, give_up)
        servable.wait_for_memory(retry)

    def _land(self, landing: inference.Landing, nbytes: int) -> None:
        self._landing = landing
        available = self._inbox.take(nbytes)
        if len(available) == nbytes:
            landing.view[:] = available
            self._submit()
        else:
            landing.view[: len(available)] = available
            self._receive(landing.view, len(available), State.LANDING)

    def _gather(self, head: Head) -> None:
        """Receive a body of JSON into memory of its own."""
        nbytes = head.content_length
        if nbytes > self._limit:
            text = (
                f"request JSON size of {nbytes} bytes exceeds the maximum allowed input size of {self._limit} bytes. "
                "Use --http-max-input-size to increase the limit."
            )
            self._refuse(head, Reply(400, metadata.error(text)))
            return
        available = self._inbox.take(nbytes)
        if len(available) == nbytes:
            self._dispatch(head, bytes(available))
            return
        target = memoryview(bytearray(nbytes))
        target[: len(available)] = available
        self._receive(target, len(available), State.GATHERING)

    def _receive(self, target: memoryview, got: int, state: State) -> None:
        """The rest of the body goes straight to `target`."""
        self._target = target
        self._got = got
        self._state = state

    def _body_complete(self) -> None:
        target, self._target = self._target, memoryview(b"")
        if self._state is State.LANDING:
            self._submit()
        else:
            assert self._head is not None
            self._dispatch(self._head, bytes(target))
        self._proceed()

    def _refuse(self, head: Head, reply: Reply) -> None:
        """Answer without looking at the body."""
        self._refusal = reply
        if head.chunked:
            self._chunks = Dechunker(None)
            self._state = State.CHUNKED
        else:
            self._skip = head.content_length
            self._state = State.SKIPPING

    def _skip_some(self) -> bool:
        self._skip -= len(self._inbox.take(self._skip))
        if self._skip:
            return False
        reply, self._refusal = self._refusal, None
        assert reply is not None
        self._reply(reply)
        return True

    def _dechunk_some(self) -> bool:
        chunks, head = self._chunks, self._head
        assert chunks is not None
        assert head is not None
        self._inbox.take(chunks.feed(self._inbox.peek()))
        if chunks.problem is not None:
            self._close_after = True
            self._reply(Reply(400, metadata.error(chunks.problem)))
        elif chunks.complete:
            self._chunks = None
            reply, self._refusal = self._refusal, None
            if reply is not None:
                self._reply(reply)
            else:
                self._dispatch(head, bytes(chunks.body))
            return True
        return False

    # -- what a whole request does ------------------------------------------------------------------------------------

    def _submit(self) -> None:
        landing, self._landing = self._landing, None
        assert landing is not None
        self._state = State.ANSWERING
        try:
            inference.submit(landing, self._limit)
        except PyServeError as error:
            landing.job.unref()
            self._reply(failure(error, TEXT if isinstance(error, ContentError) else JSON))
        else:
            self._job = landing.job

    def _dispatch(self, head: Head, body: bytes) -> None:
        self._state = State.ANSWERING
        try:
            if isinstance(head.route, Route) and head.route.endpoint is Endpoint.INFER:
                self._infer(head, head.route, body)
                return
            answer = self._app.handle(head, body)
        except PyServeError as error:
            self._reply(failure(error))
            return
        if isinstance(answer, Reply):
            self._reply(answer)
        else:
            self._task = asyncio.get_running_loop().create_task(self._answer_later(head, answer))

    def _infer(self, head: Head, route: Route, body: bytes) -> None:
        servable = self._lookup(route.model, route.version)
        inference.check(head, servable)
        header_nbytes = inference_header_length(head.inference_header, len(body)) if body else 0
        if header_nbytes is None:
            self._job = inference.submit_json(servable, body, self._limit, self)
            return
        self._landing = inference.land(servable, len(body), header_nbytes, self)
        self._landing.view[:] = body
        self._submit()

    async def _answer_later(self, head: Head, answer: Any) -> None:
        reply: Reply | None = None
        try:
            found = answer if isinstance(answer, Stream) else await answer
            if isinstance(found, Stream):
                await self._writer.stream(found.chunks, found.content_type)
            else:
                reply = found
        except PyServeError as error:
            reply = failure(error)
        except Exception:  # noqa: BLE001 - the top of a transport
            _log.exception("a request to %s failed", head.target.decode("latin-1"))
            reply = Reply(500, metadata.error("internal error"))
        self._task = None
        if reply is not None:
            self._reply(reply)
        else:
            self._finish()
        self._proceed()

    # -- answering ----------------------------------------------------------------------------------------------------

    def deliver(self, job: Job, response: Response) -> None:
        """The answer to this connection's inference request."""
        self._job = None
        if self._state is State.CLOSED:
            response.release()
            return
        if response.code is not None:
            response.release()
            self._reply(failure(PyServeError(response.code, response.text), TEXT))
        else:
            self._send_response(job, response)
        if self._inbox:
            self._proceed()

    def _send_response(self, job: Job, response: Response) -> None:
        plan = job.plan
        try:
            views = response.views()
            head = plan.head(response.layout, response.tensors, views, response.parameters)
            bodies = plan.binary_views(response.tensors, views)
        except PyServeError as error:
            response.release()
            self._reply(failure(error, TEXT))
            return
        except (WireError, ValueError, TypeError) as error:
            response.release()
            self._reply(failure(PyServeError(Code.INTERNAL, f"the model's response cannot be read: {error}"), TEXT))
            return
        connection = self._connection_header()
        if connection:
            head = head.replace(b"\r\n", b"\r\n" + connection, 1)
        if self._writer.send(head, bodies, response.release):
            self._finish()

    def _sent(self) -> None:
        self._finish()
        if self._inbox:
            self._proceed()

    def _reply(self, reply: Reply) -> None:
        self._writer.write(reply.encode(self._connection_header()))
        self._finish()

    def _connection_header(self) -> bytes:
        if self._head is None or self._close_after:
            return b"Connection: close\r\n"
        return self._head.connection

    def _keeps_alive(self) -> bool:
        return self._head is not None and self._head.keep_alive and not self._close_after

    def _finish(self) -> None:
        """The answer is on its way: the connection takes the next request, or closes."""
        if self._state is State.CLOSED:
            return
        if not self._keeps_alive():
            self._state = State.CLOSED
            self._transport.close()
            return
        self._state = State.HEAD
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
