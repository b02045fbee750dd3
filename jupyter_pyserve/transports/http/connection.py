"""One HTTP/1.1 connection: heads and bodies in, answers out, one request at a time, in order.

Bodies of inference requests are received straight into shared memory, and large answers are sent straight from it.
Knows framing and flow control; what a request means is decided in `inference` and `endpoints`.
"""

from __future__ import annotations

import asyncio
import enum
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httptools
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http import inference
from jupyter_pyserve.transports.http.head import Access, Head, HeadError, HeadParser
from jupyter_pyserve.v2.infer import inference_header_length
from jupyter_pyserve.v2.routes import Endpoint, RouteError
from jupyter_pyserve.v2.status import http_status, status_line

_log = logging.getLogger(__name__)

_BUFFER_NBYTES = 64 * 1024
_SMALL_NBYTES = 64 * 1024
_SLICE_NBYTES = 1 << 20
_MAX_CHUNKS = 65536

JSON = b"application/json"
TEXT = b"text/plain"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of an endpoint."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that comes in pieces."""

    chunks: AsyncIterator[bytes]
    content_type: bytes


Handler = Callable[[Head, bytes], "Reply | Stream | Any"]


class Application(Protocol):
    """What a connection asks of the server that it belongs to."""

    service: Service
    heads: HeadParser
    closing: bool
    connections: set[Connection]

    def handle(self, head: Head, body: bytes) -> Any:
        """Answer a request that is not an inference: a `Reply`, a `Stream`, or an awaitable of either."""


class State(enum.Enum):
    """Where a connection is in the request that it is serving."""

    HEAD = "head"
    LANDING = "landing"
    GATHERING = "gathering"
    CHUNKED = "chunked"
    SKIPPING = "skipping"
    ANSWERING = "answering"
    CLOSED = "closed"


class Connection(asyncio.BufferedProtocol):
    """The protocol of one client connection, and the sink of its inference requests."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._heads = app.heads
        self._lookup = app.service.lookup
        self._limit = app.service.settings.http_max_input_nbytes
        self._loop = asyncio.get_running_loop()
        # per connection
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._buffer = bytearray(_BUFFER_NBYTES)
        self._buffer_view = memoryview(self._buffer)
        self._start = self._end = 0
        self._reading_paused = False
        self._writing_paused = False
        self._close_after = False
        # per request
        self._state = State.HEAD
        self._head: Head = None  # type: ignore[assignment]
        self._landing: inference.Landing | None = None
        self._target = memoryview(b"")
        self._gathered = bytearray()
        self._got = 0
        self._skip = 0
        self._chunks: _Dechunker | None = None
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None
        self._outgoing: list[memoryview] = []
        self._sending: Response | None = None
        self._drained: asyncio.Future[None] | None = None
        self._refusal: Reply | None = None

    # -- reading ------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._app.connections.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        state = self._state
        if state is State.LANDING or state is State.GATHERING:
            return self._target[self._got :]
        return self._buffer_view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        state = self._state
        if state is State.LANDING or state is State.GATHERING:
            self._got += nbytes
            if self._got == len(self._target):
                self._body_complete()
            return
        self._end += nbytes
        if state is State.ANSWERING:
            self._hold_back()
        else:
            self._proceed()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self._app.connections.discard(self)
        if self._landing is not None:
            self._landing.job.unref()
            self._landing = None
        if self._job is not None:
            job, self._job = self._job, None
            job.owner.cancel(job)
        if self._task is not None:
            self._task.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._outgoing.clear()
        self._sent()

    def shutdown(self) -> None:
        """Close now if nothing is being answered, else after the answer."""
        self._close_after = True
        if self._state is State.HEAD:
            self._transport.close()

    def _hold_back(self) -> None:
        if self._end == _BUFFER_NBYTES and not self._reading_paused:
            self._compact()
            if self._end == _BUFFER_NBYTES:
                self._reading_paused = True
                self._transport.pause_reading()

    def _compact(self) -> None:
        left = self._end - self._start
        if self._start:
            self._buffer[:left] = self._buffer[self._start : self._end]
            self._start, self._end = 0, left

    def _proceed(self) -> None:
        """Use what is in the buffer, as far as it goes."""
        while self._state is State.HEAD or self._state is State.SKIPPING or self._state is State.CHUNKED:
            if self._state is State.SKIPPING:
                if not self._skip_some():
                    return
            elif self._state is State.CHUNKED:
                if not self._dechunk_some():
                    return
            elif not self._next_head():
                return

    def _next_head(self) -> bool:
        start, end = self._start, self._end
        index = self._buffer.find(b"\r\n\r\n", start, end)
        if index < 0:
            if start == end:
                self._start = self._end = 0
            elif end == _BUFFER_NBYTES:
                self._compact()
                if self._end == _BUFFER_NBYTES:
                    self._close_after = True
                    self._reply(Reply(431, _error_body("the request head is too large")))
            return False
        try:
            head = self._heads.parse(bytes(self._buffer_view[start : index + 4]))
        except HeadError:
            self._transport.abort()  # as Triton: not a word to what is not HTTP
            self._state = State.CLOSED
            return False
        self._start = index + 4
        self._head = head
        self._begin(head)
        return True

    # -- what a head begins -------------------------------------------------------------------------------------------

    def _begin(self, head: Head) -> None:
        if head.expects_continue and self._start == self._end:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            route = head.route
            if (
                head.access is Access.GRANTED
                and not isinstance(route, RouteError)
                and route.endpoint is Endpoint.INFER
                and not head.chunked
            ):
                self._begin_inference(head, route.model, route.version)
            else:
                self._begin_other(head)
        except PyServeError as error:
            self._refuse(error, TEXT)

    def _begin_inference(self, head: Head, model: str, version: str) -> None:
        servable = self._lookup(model, version)
        if servable.signature.decoupled:
            raise PyServeError(
                Code.UNSUPPORTED, "HTTP end point doesn't support models with decoupled transaction policy"
            )
        if head.content_encoding != b"identity":
            raise PyServeError(Code.UNSUPPORTED, "Unsupported compression type")
        nbytes = head.content_length
        header_nbytes = 0
        if nbytes:
            found = inference_header_length(head.inference_header, nbytes)
            if found is None:
                self._gather(nbytes)
                return
            header_nbytes = found
        self._landing = landing = inference.land(servable, nbytes, header_nbytes, self)
        available = self._end - self._start
        if available >= nbytes:
            landing.view[:] = self._buffer_view[self._start : self._start + nbytes]
            self._start += nbytes
            self._submit()
        else:
            landing.view[:available] = self._buffer_view[self._start : self._end]
            self._start = self._end = 0
            self._receive_into(landing.view, available, State.LANDING)

    def _begin_other(self, head: Head) -> None:
        if head.access is not Access.GRANTED:
            status, text = _DENIED[head.access]
            self._skip_body(Reply(status, _error_body(text), TEXT))
        elif head.control is None and isinstance(head.route, RouteError):
            self._skip_body(Reply(head.route.status, _error_body(head.route.message), TEXT))
        elif head.chunked:
            self._chunks = _Dechunker(self._limit)
            self._state = State.CHUNKED
        else:
            self._gather(head.content_length)

    def _gather(self, nbytes: int) -> None:
        """Receive a body of JSON into memory of its own."""
        if nbytes > self._limit:
            self._skip_body(
                Reply(
                    400,
                    _error_body(
                        f"request JSON size of {nbytes} bytes exceeds the maximum allowed input size of "
                        f"{self._limit} bytes. Use --http-max-input-size to increase the limit."
                    ),
                )
            )
            return
        available = min(self._end - self._start, nbytes)
        if available == nbytes:
            body = bytes(self._buffer_view[self._start : self._start + nbytes])
            self._start += nbytes
            self._dispatch(body)
            return
        self._gathered = bytearray(nbytes)
        self._gathered[:available] = self._buffer_view[self._start : self._end]
        self._start = self._end = 0
        self._receive_into(memoryview(self._gathered), available, State.GATHERING)

    def _receive_into(self, target: memoryview, got: int, state: State) -> None:
        self._target = target
        self._got = got
        self._state = state

    def _body_complete(self) -> None:
        self._target = memoryview(b"")
        if self._state is State.LANDING:
            self._submit()
        else:
            body, self._gathered = bytes(self._gathered), bytearray()
            self._dispatch(body)

    def _refuse(self, error: PyServeError, content_type: bytes) -> None:
        """Answer with an error without looking at the body."""
        self._skip_body(Reply(http_status(error.code), _error_body(error.message), content_type))

    def _skip_body(self, reply: Reply) -> None:
        if self._head.chunked:
            self._chunks = _Dechunker(None)
            self._refusal = reply
            self._state = State.CHUNKED
            return
        self._refusal = reply
        self._skip = self._head.content_length
        self._state = State.SKIPPING

    def _skip_some(self) -> bool:
        used = min(self._skip, self._end - self._start)
        self._skip -= used
        self._start += used
        if self._skip:
            self._start = self._end = 0
            return False
        reply, self._refusal = self._refusal, None
        assert reply is not None
        self._reply(reply)
        return True

    def _dechunk_some(self) -> bool:
        chunks = self._chunks
        assert chunks is not None
        data = bytes(self._buffer_view[self._start : self._end])
        self._start = self._end = 0
        problem = chunks.feed(data)
        if problem is not None:
            self._close_after = True
            self._reply(Reply(400, _error_body(problem)))
        elif chunks.complete:
            self._chunks = None
            if self._refusal is not None:
                reply, self._refusal = self._refusal, None
                self._reply(reply)
            else:
                self._dispatch_chunked(bytes(chunks.body))
        return False

    def _dispatch_chunked(self, body: bytes) -> None:
        head = self._head
        route = head.route
        if isinstance(route, RouteError) or route.endpoint is not Endpoint.INFER:
            self._dispatch(body)
            return
        try:
            servable = self._lookup(route.model, route.version)
            found = inference_header_length(head.inference_header, len(body)) if body else 0
            if found is None:
                self._dispatch(body)
                return
            self._landing = inference.land(servable, len(body), found, self)
            self._landing.view[:] = body
            self._submit()
        except PyServeError as error:
            self._reply(Reply(http_status(error.code), _error_body(error.message), TEXT))

    # -- what a whole request does ------------------------------------------------------------------------------------

    def _submit(self) -> None:
        landing, self._landing = self._landing, None
        assert landing is not None
        self._state = State.ANSWERING
        self._job = landing.job
        try:
            inference.submit(landing, self._limit)
            self._job = landing.job
        except PyServeError as error:
            self._job = None
            landing.job.unref()
            self._reply(Reply(http_status(error.code), _error_body(error.message)))

    def _dispatch(self, body: bytes) -> None:
        self._state = State.ANSWERING
        head = self._head
        try:
            route = head.route
            if head.control is None and not isinstance(route, RouteError) and route.endpoint is Endpoint.INFER:
                servable = self._lookup(route.model, route.version)
                self._job = inference.submit_json(servable, body, self._limit, self)
                return
            answer = self._app.handle(head, body)
        except PyServeError as error:
            self._reply(Reply(http_status(error.code), _error_body(error.message)))
            return
        if isinstance(answer, Reply):
            self._reply(answer)
        else:
            self._task = self._loop.create_task(self._answer_later(answer))

    async def _answer_later(self, answer: Any) -> None:
        try:
            if not isinstance(answer, Stream):
                answer = await answer
            if isinstance(answer, Stream):
                await self._send_stream(answer)
                reply = None
            else:
                reply = answer
        except PyServeError as error:
            reply = Reply(http_status(error.code), _error_body(error.message))
        except Exception:
            _log.exception("a request to %s failed", self._head.target.decode("latin-1"))
            reply = Reply(500, _error_body("internal error"))
        self._task = None
        if reply is not None:
            self._reply(reply)
        else:
            self._finish()
        self._proceed()

    async def _send_stream(self, stream: Stream) -> None:
        """Pieces as they come; the first decides whether there is a stream at all."""
        iterator = stream.chunks.__aiter__()
        chunk = await anext(iterator, None)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % stream.content_type
        )
        while chunk is not None:
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            if self._writing_paused:
                self._drained = self._loop.create_future()
                await self._drained
            chunk = await anext(iterator, None)
        self._transport.write(b"0\r\n\r\n")

    # -- answering ----------------------------------------------------------------------------------------------------

    def deliver(self, job: Job, response: Response) -> None:
        """The answer to this connection's inference request."""
        self._job = None
        if self._state is State.CLOSED:
            response.release()
            return
        if response.code is not None:
            reply = Reply(http_status(response.code), _error_body(response.text), TEXT)
            response.release()
            self._reply(reply)
        else:
            self._send_response(job, response)
        if self._start != self._end:
            self._proceed()

    def _send_response(self, job: Job, response: Response) -> None:
        plan = job.plan
        try:
            views = response.views()
            head = plan.head(response.layout, response.tensors, views, response.parameters)
            bodies = plan.binary_views(response.tensors, views)
        except (PyServeError, WireError, ValueError, TypeError) as error:
            response.release()
            code = error.code if isinstance(error, PyServeError) else Code.INTERNAL
            self._reply(Reply(http_status(code), _error_body(str(error)), TEXT))
            return
        if self._close_after or not self._head.keep_alive:
            head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        if sum([view.nbytes for view in bodies]) <= _SMALL_NBYTES:
            self._transport.write(b"".join([head, *bodies]))
            response.release()
            self._finish()
            return
        self._sending = response
        self._outgoing = bodies[::-1]
        self._transport.set_write_buffer_limits(high=0)
        self._transport.write(head)
        self._send_some()

    def _send_some(self) -> None:
        """Write slices while the socket takes them at once; `resume_writing` goes on."""
        outgoing = self._outgoing
        while outgoing and not self._writing_paused:
            view = outgoing[-1]
            if view.nbytes > _SLICE_NBYTES:
                outgoing[-1] = view[_SLICE_NBYTES:]
                self._transport.write(view[:_SLICE_NBYTES])
            else:
                outgoing.pop()
                self._transport.write(view)
        if not outgoing and not self._writing_paused:
            self._sent()
            self._transport.set_write_buffer_limits()
            self._finish()
            if self._start != self._end:
                self._proceed()

    def _sent(self) -> None:
        response, self._sending = self._sending, None
        if response is not None:
            response.release()

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._sending is not None:
            self._send_some()
        elif self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _reply(self, reply: Reply) -> None:
        connection = b"" if self._head is not None and self._head.keep_alive and not self._close_after else _CLOSE
        self._transport.write(
            b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
            % (status_line(reply.status), reply.content_type, len(reply.body), connection, reply.body)
        )
        self._finish()

    def _finish(self) -> None:
        """The answer is on its way: the connection takes the next request, or closes."""
        if self._close_after or self._head is None or not self._head.keep_alive:
            self._state = State.CLOSED
            self._transport.close()
            return
        self._state = State.HEAD
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()


_CLOSE = b"Connection: close\r\n"

_DENIED = {
    Access.NO_TOKEN: (401, "Unauthorized: this port expects the header 'Authorization: token <token>'"),
    Access.FOREIGN_ORIGIN: (403, "Forbidden: the request comes from a page of another site"),
}


def _error_body(text: str) -> bytes:
    return b'{"error":%b}' % json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")


class _Dechunker:
    """Takes the chunks of a body apart, within limits; httptools knows the grammar."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._count = 0
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.body = bytearray()
        self.complete = False
        self._problem: str | None = None

    def feed(self, data: bytes) -> str | None:
        """What is wrong with the chunks, if anything."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            return self._problem or "malformed chunked body"
        return self._problem

    def on_body(self, data: bytes) -> None:
        self._count += 1
        if self._count > _MAX_CHUNKS:
            self._problem = (
                f"Chunked request body exceeds maximum of {_MAX_CHUNKS} non-empty chunks. "
                "Send fewer or larger HTTP chunks."
            )
        elif self._limit is not None and len(self.body) + len(data) > self._limit:
            self._problem = (
                f"request JSON size of {len(self.body) + len(data)} bytes exceeds the maximum allowed input size of "
                f"{self._limit} bytes. Use --http-max-input-size to increase the limit."
            )
        elif self._limit is not None:
            self.body += data

    def on_message_complete(self) -> None:
        self.complete = True
