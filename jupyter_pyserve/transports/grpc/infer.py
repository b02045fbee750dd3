"""ModelInfer: one request, one response."""

from __future__ import annotations

import logging
import time

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.grpc.call import MAX_MESSAGE_NBYTES, Call, Piece, Status
from jupyter_pyserve.transports.grpc.requests import Ask, Requests
from jupyter_pyserve.v2.forwarding import Headers
from jupyter_pyserve.v2.protobuf_answers import parameter_fields
from jupyter_pyserve.v2.status import GRPC_STATUS

_log = logging.getLogger(__name__)


def answer(ask: Ask, response: Response, own: bytes = b"") -> tuple[list[Piece], int]:
    """A response as a message and its size; `own` are parameters of the front end's. Raises `PyServeError`."""
    try:
        fields = own + parameter_fields(response.parameters) if response.parameters else own
        layout, tensors, views = intake.settle(response, ask.plan.classification)
        pieces = ask.plan.answers.pieces(ask.id, layout, tensors, views, fields)
    except (WireError, ValueError, TypeError) as error:
        raise PyServeError(Code.INTERNAL, f"the model's response cannot be read: {error}") from error
    nbytes = sum([len(piece) for piece in pieces])
    if nbytes > MAX_MESSAGE_NBYTES:
        text = f"Response has byte size {nbytes} which exceeds gRPC's byte size limit {MAX_MESSAGE_NBYTES}."
        raise PyServeError(Code.INVALID_ARG, text)
    return pieces, nbytes


def _not_decoupled(servable: LoadedVersion) -> None:
    if servable.signature.decoupled:
        raise PyServeError(Code.UNSUPPORTED, "ModelInfer RPC doesn't support models with decoupled transaction policy")


class Infer:
    """Serves one call; the sink of its request."""

    __slots__ = ("_ask", "_asked", "_began_ns", "_call", "_forwarded", "_job", "_requests")

    def __init__(self, requests: Requests, call: Call, forwarded: Headers) -> None:
        self._requests = requests
        self._forwarded = forwarded
        self._call = call
        self._asked = False
        self._ask: Ask
        self._job: Job | None = None
        #: When the call began, where traces are taken.
        self._began_ns = time.monotonic_ns() if requests.traces.on else 0

    def message(self, data: Piece) -> None:
        """The request."""
        if self._asked:
            return
        self._asked = True
        try:
            self._ask = ask = self._requests.read(data, _not_decoupled, self._forwarded)
            sink: Sink = self
            if ask.servable.tracer is not None:
                sink = ask.behind_watch(self, self._call.head, self._began_ns, time.monotonic_ns())
            job = intake.if_there_is_room(ask.servable, lambda: ask.place(sink))
            if job is None:
                intake.when_there_is_room(
                    ask.servable, ask.nbytes, lambda: ask.place(sink), lambda: not self._call.over, self._enter_late
                )
            else:
                self._enter(job)
        except Exception as error:  # noqa: BLE001 - the top of a transport
            self._refuse(error)

    def end(self) -> None:
        """The client has nothing more to say."""
        if not self._asked:
            self._call.fail(Status.INTERNAL, "a call of ModelInfer has one request")

    def cancel(self) -> None:
        """Nobody waits."""
        _log.debug("Cancellation notification received for ModelInferHandler")
        if self._job is not None:
            job, self._job = self._job, None
            job.owner.cancel(job)

    def _enter_late(self, found: Job | PyServeError) -> None:
        try:
            if isinstance(found, PyServeError):
                raise found
            self._enter(found)
        except Exception as error:  # noqa: BLE001 - the top of a transport
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        """It did not get as far as its model."""
        if isinstance(error, PyServeError):
            _log.debug("Request failed: %s", error.message)
            self._call.fail(GRPC_STATUS[error.code], error.message)
        else:
            _log.error("an inference request failed", exc_info=error)
            self._call.fail(Status.INTERNAL, "internal error")

    def _enter(self, job: Job) -> None:
        self._job = job
        try:
            self._ask.enter(job)
        except BaseException:
            self._job = None
            job.finish()
            raise

    def deliver(self, job: Job, response: Response) -> None:
        """The answer."""
        self._job = None
        call = self._call
        if response.code is not None:
            response.release()
            call.finish(GRPC_STATUS[response.code], response.text)
            return
        try:
            pieces, nbytes = answer(self._ask, response)
        except PyServeError as error:
            response.release()
            call.finish(GRPC_STATUS[error.code], error.message)
            return
        call.answer(pieces, nbytes, response.release)
