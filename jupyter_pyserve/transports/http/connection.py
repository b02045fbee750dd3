"""One HTTP/1.1 connection: heads and bodies in, one request at a time, in order.

Bodies of inference requests are received straight into shared memory. Knows framing; what a request means is decided in
`inference` and `endpoints`, and its answer is `exchange`'s.
"""

from __future__ import annotations

import asyncio
import enum
import time
from typing import Protocol, cast

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.http import exchange, inference
from jupyter_pyserve.transports.http.chunks import Dechunker
from jupyter_pyserve.transports.http.head import Access, Head, HeadError, HeadParser
from jupyter_pyserve.transports.http.inbox import Inbox
from jupyter_pyserve.transports.http.repeats import Repeats
from jupyter_pyserve.transports.http.replies import TEXT, Reply, denied, failure, restricted
from jupyter_pyserve.transports.http.writer import Writer
from jupyter_pyserve.v2 import metadata
from jupyter_pyserve.v2.compression import Encoding
from jupyter_pyserve.v2.routes import Endpoint, Route, RouteError

#: A refused body that is larger is not waited for: the answer goes out first, and ends the connection.
_MAX_SKIPPED_NBYTES = 1 << 20

#: How long such a client may go on sending before it is cut off; closing at once could cost it the answer.
_LINGER_S = 30.0


class Register(Protocol):
    """Who keeps account of open connections."""

    def opened(self, connection: Connection) -> None:
        """One more."""

    def closed(self, connection: Connection) -> None:
        """One less."""


class Application(exchange.Application, Protocol):
    """What a connection asks of the server that it belongs to."""

    @property
    def heads(self) -> HeadParser: ...

    @property
    def connections(self) -> Register: ...


class State(enum.Enum):
    """Where a connection is in the request that it is serving."""

    HEAD = "head"
    WAITING = "waiting"  # for shared memory to put the body into
    LANDING = "landing"  # the body goes to shared memory
    GATHERING = "gathering"  # the body goes to memory of its own
    CHUNKED = "chunked"
    SKIPPING = "skipping"
    ANSWERING = "answering"
    LINGERING = "lingering"  # answered before the body had come
    CLOSED = "closed"


class Connection(asyncio.BufferedProtocol):
    """The protocol of one client connection."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._heads = app.heads
        self._lookup = app.service.lookup
        self._limit = app.service.settings.http_max_input_nbytes
        self._traces = app.service.traces
        # per connection
        self._transport: asyncio.Transport
        self._exchange: exchange.Exchange
        self._repeats: Repeats
        self._writer: Writer
        self._inbox = Inbox()
        self._reading_paused = False
        self._proceeding = False
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

    # -- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writer = Writer(self._transport, self._answered)
        self._exchange = exchange.Exchange(self._app, self._writer, self._connection_header, self._answered)
        self._repeats = self._exchange.repeats
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
            self._pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = State.CLOSED
        self._app.connections.closed(self)
        if self._landing is not None:
            self._landing.job.finish()
            self._landing = None
        self._target = memoryview(b"")
        self._exchange.abandon()

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
        """Use it, as far as it goes; an answer that is there at once comes back here, and must not go deeper."""
        if self._proceeding:
            return
        self._proceeding = True
        going = True
        try:
            while going:
                if self._state is State.HEAD:
                    going = self._next_head()
                elif self._state is State.SKIPPING or self._state is State.LINGERING:
                    going = self._skip_some()
                elif self._state is State.CHUNKED:
                    going = self._dechunk_some()
                else:
                    going = False
        finally:
            self._proceeding = False

    def _next_head(self) -> bool:
        repeats = self._repeats
        job = repeats.take(self._inbox, self._exchange)
        if job is not None:
            self._head = repeats.head
            self._state = State.ANSWERING
            self._exchange.submit_again(repeats.head, repeats.servable, job)
            return True
        data = self._inbox.take_head()
        if data is None:
            if self._inbox.full():
                self._close_after = True
                self._exchange.reply(Reply(431, metadata.error("the request head is too large")))
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
        if self._traces.on:
            self._exchange.received_ns = time.monotonic_ns()
        if head.direct is not None:
            self._begin_inference(head, head.direct)
            return
        if head.expects_continue and not self._inbox:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        route = head.route
        if head.access is not Access.GRANTED:
            self._refuse(head, denied(head.access))
        elif head.lacks:
            self._refuse(head, restricted(head.lacks))
        elif head.control is None and isinstance(route, RouteError):
            self._refuse(head, Reply(route.status, metadata.error(route.message), head.error_type))
        elif head.chunked:
            self._chunks = Dechunker(self._limit)
            self._state = State.CHUNKED
        elif isinstance(route, Route) and route.endpoint is Endpoint.INFER:
            self._begin_inference(head, route)
        else:
            self._gather(head)

    def _begin_inference(self, head: Head, route: Route) -> None:
        try:
            self._land_or_gather(head, route)
        except PyServeError as error:
            self._refuse(head, failure(error, TEXT))

    def _land_or_gather(self, head: Head, route: Route) -> None:
        servable = self._lookup(route.model, route.version)
        inference.check(head, servable)
        if head.content_encoding is not Encoding.IDENTITY:
            self._gather(head)
            return
        if head.header_problem is not None:
            raise head.header_problem
        if head.header_nbytes is None:
            self._gather(head)
            return
        landing = inference.try_to_land(servable, head.content_length, head.header_nbytes, self._exchange)
        if landing is None:
            self._state = State.WAITING
            self._pause_reading()
            inference.land_later(
                servable, head.content_length, head.header_nbytes, self._exchange, self._waits, self._land_late
            )
        else:
            self._land(landing)

    def _waits(self) -> bool:
        return self._state is State.WAITING

    def _land_late(self, found: inference.Landing | PyServeError) -> None:
        """There is room now, or there was none for too long."""
        self._resume_reading()
        if isinstance(found, inference.Landing):
            self._land(found)
        elif self._head is not None:
            self._refuse(self._head, failure(found, TEXT))
        self._proceed()

    def _land(self, landing: inference.Landing) -> None:
        self._landing = landing
        available = self._inbox.take(len(landing.view))
        got = len(available)
        if got == len(landing.view):
            landing.view[:] = available
            self._submit()
        else:
            landing.view[:got] = available
            self._receive(landing.view, got, State.LANDING)

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

    def _submit(self) -> None:
        landing, self._landing = self._landing, None
        assert landing is not None
        assert self._head is not None
        self._state = State.ANSWERING
        self._exchange.submit(self._head, landing)

    def _dispatch(self, head: Head, body: bytes) -> None:
        self._state = State.ANSWERING
        self._exchange.dispatch(head, body)

    # -- bodies that nobody wants -------------------------------------------------------------------------------------

    def _refuse(self, head: Head, reply: Reply) -> None:
        """Answer without looking at the body."""
        self._refusal = reply
        self._skip = head.content_length
        if head.chunked:
            self._chunks = Dechunker(None)
            self._state = State.CHUNKED
        elif self._skip <= _MAX_SKIPPED_NBYTES:
            self._state = State.SKIPPING
        else:
            self._close_after = True
            self._writer.write(reply.encode(self._connection_header()))
            self._state = State.LINGERING
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.close)

    def _skip_some(self) -> bool:
        self._skip -= len(self._inbox.take(self._skip))
        if self._skip:
            return False
        if self._state is State.LINGERING:
            self._answered()
        else:
            self._reply_refusal()
        return True

    def _reply_refusal(self) -> None:
        reply, self._refusal = self._refusal, None
        assert reply is not None
        self._exchange.reply(reply)

    def _dechunk_some(self) -> bool:
        chunks, head = self._chunks, self._head
        assert chunks is not None
        assert head is not None
        self._inbox.take(chunks.feed(self._inbox.peek()))
        if chunks.problem is not None:
            self._close_after = True
            self._exchange.reply(Reply(400, metadata.error(chunks.problem)))
        elif chunks.complete:
            self._chunks = None
            if self._refusal is not None:
                self._reply_refusal()
            else:
                self._dispatch(head, bytes(chunks.body))
            return True
        return False

    # -- after the answer ---------------------------------------------------------------------------------------------

    def _connection_header(self) -> bytes:
        if self._head is None or self._close_after:
            return b"Connection: close\r\n"
        return self._head.connection

    def _answered(self) -> None:
        """The answer is on its way: the connection takes the next request, or closes."""
        if self._state is State.CLOSED:
            return
        if self._close_after or self._head is None or not self._head.keep_alive:
            self._state = State.CLOSED
            self._transport.close()
            return
        self._state = State.HEAD
        self._resume_reading()
        if self._inbox:
            self._proceed()

    def _pause_reading(self) -> None:
        self._reading_paused = True
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
