"""ModelStreamInfer: requests as they come, executed together; each answered by any number of responses.

Answers of models that are not decoupled leave in the order of their requests, those of others as they are made.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.grpc.call import Call, Piece
from jupyter_pyserve.transports.grpc.infer import answer
from jupyter_pyserve.transports.grpc.requests import Ask, Requests
from jupyter_pyserve.v2.forwarding import Headers
from jupyter_pyserve.v2.protobuf import split
from jupyter_pyserve.v2.protobuf_answers import FINAL, bare_response, stream_error, stream_head, stream_response
from jupyter_pyserve.v2.status import GRPC_STATUS

_log = logging.getLogger(__name__)

_Outgoing = tuple[list[Piece], Callable[[], None] | None]


class StreamInfer:
    """Serves one call."""

    __slots__ = (
        "_call",
        "_client_done",
        "_forwarded",
        "_idle_since_ns",
        "_in_order",
        "_open",
        "_requests",
        "_waiting",
        "strict",
    )

    def __init__(self, requests: Requests, call: Call, forwarded: Headers) -> None:
        self._requests = requests
        self._forwarded = forwarded
        self._call = call
        self._client_done = False
        self._open: dict[_Exchange, None] = {}
        self._in_order: deque[_Exchange] = deque()
        #: Since when the next request is waited for, where traces are taken.
        self._idle_since_ns = time.monotonic_ns() if requests.traces.on else 0
        #: Requests behind one for which there is no room.
        self._waiting: deque[Piece] = deque()
        #: Whether the first failure of a model ends the call.
        self.strict = call.head.metadata.get(b"triton_grpc_error", b"").lower() == b"true"

    @property
    def over(self) -> bool:
        """Whether nobody waits for answers any more."""
        return self._call.over

    def message(self, data: Piece) -> None:
        """One more request."""
        if self._call.stalled:
            self._waiting.append(data)
        else:
            self._begin(data)

    def end(self) -> None:
        """No more requests: the call ends with the last answer."""
        self._client_done = True
        self._end_if_done()

    def cancel(self) -> None:
        """Nobody waits for any of them."""
        _log.debug("Cancellation notification received for ModelStreamInferHandler")
        exchanges, self._open = list(self._open), {}
        self._waiting.clear()
        self._in_order.clear()
        for exchange in exchanges:
            exchange.cancel()

    # -- requests -----------------------------------------------------------------------------------------------------

    def _begin(self, data: Piece) -> None:
        exchange = _Exchange(self)
        self._open[exchange] = None
        try:
            exchange.ask = ask = self._requests.read(data, exchange.is_of, self._forwarded)
            if not exchange.decoupled:
                self._in_order.append(exchange)
            sink = self._behind_watch(exchange, ask)
            job = intake.if_there_is_room(ask.servable, lambda: ask.place(sink))
            if job is not None:
                exchange.enter(job)
                return
        except Exception as error:  # noqa: BLE001 - the top of a transport
            self._refuse(exchange, data, error)
            return
        self._call.stalled = True

        def resume(found: Job | PyServeError) -> None:
            try:
                if isinstance(found, PyServeError):
                    raise found
                exchange.enter(found)
            except Exception as error:  # noqa: BLE001 - the top of a transport
                self._refuse(exchange, data, error)
            self._go_on()

        intake.when_there_is_room(
            ask.servable, ask.nbytes, lambda: ask.place(sink), lambda: not self._call.over, resume
        )

    def _behind_watch(self, exchange: _Exchange, ask: Ask) -> Sink:
        """Who gets the answers, behind a watch if the request is traced."""
        if ask.servable.tracer is None:
            return exchange
        began_ns, self._idle_since_ns = self._idle_since_ns, time.monotonic_ns()
        return ask.behind_watch(exchange, self._call.head, began_ns, self._idle_since_ns)

    def _go_on(self) -> None:
        self._call.stalled = False
        while self._waiting and not self._call.stalled and not self._call.over:
            self._begin(self._waiting.popleft())
        self._call.grant()
        self._end_if_done()

    def _refuse(self, exchange: _Exchange, data: Piece, error: Exception) -> None:
        """Say in the stream that a request did not get as far as its model."""
        if isinstance(error, PyServeError):
            text = error.message
            _log.debug("Request failed: %s", text)
        else:
            text = "internal error"
            _log.error("an inference request failed", exc_info=error)
        if not exchange.decoupled and exchange not in self._in_order:
            self._in_order.append(exchange)
        taken = split(data)
        request_id = taken.id if taken is not None else b""
        self.respond(exchange, [stream_error(text, bare_response(request_id=request_id))], None, final=True)

    # -- answers ------------------------------------------------------------------------------------------------------

    def respond(
        self, exchange: _Exchange, pieces: list[Piece], release: Callable[[], None] | None, *, final: bool
    ) -> None:
        """Send one of the messages that answer a request, or keep it until its turn; no pieces, no message."""
        exchange.done = final
        if exchange.decoupled or self._in_order[0] is exchange:
            if pieces:
                self._call.send(pieces, release)
        else:
            exchange.kept.append((pieces, release))
            return
        if not final:
            return
        self._open.pop(exchange, None)
        if not exchange.decoupled:
            self._in_order.popleft()
            self._catch_up()
        self._end_if_done()

    def break_off(self, status: int, text: str) -> None:
        """End the call with a failure."""
        self._call.fail(status, text)

    def _catch_up(self) -> None:
        """What was kept for its turn."""
        while self._in_order:
            exchange = self._in_order[0]
            for pieces, release in exchange.kept:
                if pieces:
                    self._call.send(pieces, release)
            exchange.kept.clear()
            if not exchange.done:
                return
            self._in_order.popleft()
            self._open.pop(exchange, None)

    def _end_if_done(self) -> None:
        if self._client_done and not self._open and not self._waiting:
            self._call.finish(0)


class _Exchange:
    """One request of a stream; its job's sink."""

    __slots__ = ("_job", "_stream", "ask", "decoupled", "done", "kept")

    def __init__(self, stream: StreamInfer) -> None:
        self._stream = stream
        self._job: Job | None = None
        self.ask: Ask
        self.decoupled = False
        self.done = False
        self.kept: list[_Outgoing] = []

    def is_of(self, servable: LoadedVersion) -> None:
        """The model is known."""
        self.decoupled = servable.signature.decoupled

    def enter(self, job: Job) -> None:
        """Queue the request."""
        self._job = job
        try:
            self.ask.enter(job)
        except BaseException:
            self._job = None
            job.finish()
            raise

    def cancel(self) -> None:
        """Nobody waits."""
        for _, release in self.kept:
            if release is not None:
                release()
        self.kept.clear()
        if self._job is not None:
            job, self._job = self._job, None
            job.owner.cancel(job)

    def deliver(self, job: Job, response: Response) -> None:
        """One of the answers."""
        final = response.final
        if final:
            self._job = None
        if self._stream.over:
            response.release()
            return
        if response.code is not None:
            response.release()
            self._fail(GRPC_STATUS[response.code], response.text, final)
            return
        plan = self.ask.plan
        if response.bare:
            response.release()
            empty = bare_response(plan.model_name, "", self.ask.id, own=FINAL[True]) if plan.empty_final else b""
            self._stream.respond(self, [stream_response(empty)] if empty else [], None, final=final)
            return
        try:
            pieces, nbytes = answer(self.ask, response, FINAL[final])
        except PyServeError as error:
            response.release()
            self._fail(GRPC_STATUS[error.code], error.message, final)
            return
        self._stream.respond(self, [stream_head(nbytes), *pieces], response.release, final=final)

    def _fail(self, status: int, text: str, final: bool) -> None:
        if self._stream.strict:
            self._stream.break_off(status, text)
            return
        plan = self.ask.plan
        told = bare_response(plan.model_name, plan.version, self.ask.id, own=FINAL[final])
        self._stream.respond(self, [stream_error(text, told)], None, final=final)
