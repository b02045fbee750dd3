"""Running `execute`: requests out of a frame, and what the model returned checked as Triton checks it.

The order of the checks and their texts are Triton's. Knows the model only as an object with an `execute` attribute.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import Any, List, Sequence, Tuple

from . import output
from .coroutines import EventLoop
from .faults import describe, standard_traceback
from .host import get_host
from .messages import NO_TRACE, InferenceRequest, InferenceResponse, InferenceTrace
from .outbox import Outbox
from .session import Hold, Session
from .slots import NO_OUTPUTS, Control, zeros
from .states import States
from .tensors import Tensor
from .vocabulary import RELEASE_ALL, RELEASE_RESCHEDULE, LogLevel
from .wire import frames
from .wire.datatypes import BYTES
from .wire.frames import PlainRequest, PlainResponse
from .wire.layout import LayoutCache

_MAX_CACHED = 1024
_MAX_CACHED_NBYTES = 4096
#: numpy says only that an array is read-only, to a model whose author sees no reason why.
_READ_ONLY = (
    "\nThe inputs of this request lie in the client's own memory, which models may read but not change: copy an input "
    "before changing it in place, as in x = x.copy().\n"
)
_SECOND_RESPONSE = "Unable to send response. Non-decoupled model cannot send more than one response."


class ExecuteError(Exception):
    """The model broke a rule of `execute`; the text is Triton's."""


class Meta:
    """The rare facts of a request, parsed once for all requests that repeat them."""

    __slots__ = (
        "controls",
        "correlation_id",
        "flags",
        "null",
        "outputs",
        "parameters",
        "plain",
        "request_id",
        "slot",
        "timeout_us",
        "trace",
        "wanted",
        "window",
    )

    def __init__(self, data: bytes) -> None:
        fields = json.loads(data) if data else {}
        self.request_id: str = fields.get("id", "")
        self.correlation_id: Any = fields.get("correlation_id", 0)
        self.flags: int = fields.get("flags", 0)
        self.timeout_us: int = fields.get("timeout_us", 0)
        self.parameters: str = fields.get("parameters", "{}")
        self.outputs: tuple[str, ...] = tuple(fields.get("outputs", ()))
        #: How many of its responses may be on their way; 0 is any number.
        self.window: int = fields.get("window", 0)
        #: It only fills a slot of a sequence batcher.
        self.null: bool = fields.get("null", False)
        #: Of what trace it is told, "" is a trace without a context.
        self.trace: str | None = fields.get("trace")
        #: Where its sequence's state is, if its model has such a thing.
        self.slot: int | None = fields.get("slot")
        self.controls = [Control(*item) for item in fields.get("controls", ())]
        self.wanted = NO_OUTPUTS if self.null else frozenset(self.outputs)
        #: Whether its inputs are those that came with it, and it may be answered at any pace.
        self.plain = not (self.window or self.null or self.controls)


class Batch:
    """One call of `execute`, while it goes on."""

    __slots__ = ("frames", "known", "ready_ns", "requests", "started_ns")

    def __init__(self, frames: Sequence[PlainRequest], started_ns: int) -> None:
        self.frames = frames
        self.known: Sequence[tuple[PlainRequest, frozenset[str]]] = ()
        self.requests: list[InferenceRequest] = []
        self.started_ns = self.ready_ns = started_ns


#: The answers of a batch, how long its inputs took to unpack, and the model to compute.
Answers = Tuple[List[PlainResponse], int, int]


class Executor:
    """Executes batches of one model instance.

    `max_concurrency` lets coroutines of a model that is not decoupled overlap; those of a decoupled one always do. The
    engine keeps the limit. With `keep_unfinished`, a request that can not end any more stays open, as on Triton.
    """

    def __init__(
        self,
        session: Session,
        model_name: str,
        instance_name: str,
        model_file: str,
        decoupled: bool,
        max_concurrency: int | None = None,
        keep_unfinished: bool = False,
        states: States | None = None,
    ) -> None:
        self._session = session
        self._states = states
        self._model_name = model_name
        self._instance_name = instance_name
        self._model_file = model_file
        self._decoupled = decoupled
        self._overlap = decoupled or (max_concurrency or 1) > 1
        self._keep_unfinished = decoupled and keep_unfinished
        self._layouts = LayoutCache()
        self._metas: dict[bytes, Meta] = {}
        self.event_loop = EventLoop()
        self.is_waited_for = self.event_loop.is_waited_for
        self.outbox = Outbox(session, decoupled=decoupled, keep_unfinished=keep_unfinished, states=states)
        self.model: Any = None
        #: Arrays of strings, which take time to die: they do when their batch is answered.
        self._strings: list[Any] = []
        self.requests = 0
        self.failures = 0

    def run(self, data: bytes) -> None:
        """Execute one frame and answer it, unless a coroutine goes on with it and answers later."""
        started_ns = time.monotonic_ns()
        batch, released = frames.decode_execute(data)
        if released:
            self._session.free(released)
        self.requests += len(batch)
        answers = self._start(Batch(batch, started_ns))
        output.over()
        if answers is not None:
            self._tell(answers)

    def close(self) -> None:
        """No coroutine goes on any more."""
        self.event_loop.stop()

    def _tell(self, answers: Answers) -> None:
        responses, input_ns, infer_ns = answers
        session = self._session
        for index, (key, code, flags, layout, text, descriptors) in enumerate(responses):
            if session.inputs_released(key):
                responses[index] = (key, code, flags | frames.INPUTS_RELEASED, layout, text, descriptors)
        self.outbox.post(frames.encode_responses(responses, input_ns, infer_ns))
        if self._strings:
            self._strings.clear()

    def _start(self, batch: Batch) -> Answers | None:
        """Everything that may refer to the inputs lives in this call, so that it is gone when this returns."""
        result: Any = None
        try:
            metas = [self._meta(frame[1]) for frame in batch.frames]
            ids = [meta.request_id for meta in metas if meta.request_id]
            if ids:
                output.begin(ids)
            batch.known = [(frame, meta.wanted) for frame, meta in zip(batch.frames, metas)]
            self.outbox.opened(batch.known)
            batch.requests = [self._request(frame, meta) for frame, meta in zip(batch.frames, metas)]
            batch.ready_ns = time.monotonic_ns()
            result = self._execute(batch.requests)
            if asyncio.iscoroutine(result):
                if self._overlap:
                    self._spawn(batch, result)
                    return None
                result = self.event_loop.run(result)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a model are its errors too
            return self._failed(batch, error)
        return self._executed(batch, result)

    def _spawn(self, batch: Batch, coroutine: Any) -> None:
        self.outbox.detach(batch.known)
        self.outbox.post(frames.encode_keys(frames.STARTED, (batch.frames[0][0],)))
        self.event_loop.spawn(coroutine, functools.partial(self._finished, batch))

    def _finished(self, batch: Batch, result: Any, fault: BaseException | None) -> None:
        """A coroutine has ended. What that of a decoupled model returns does not matter."""
        if fault is None or self._keep_unfinished:
            if fault is not None:
                get_host().log(int(LogLevel.ERROR), self._model_file, 0, standard_traceback(fault))
            self._tell(self._executed(batch, None if self._decoupled else result))
        else:
            self._tell(self._failed(batch, fault))

    def _executed(self, batch: Batch, result: Any) -> Answers:
        done_ns = time.monotonic_ns()
        known, requests, outbox = batch.known, batch.requests, self.outbox
        try:
            answers = self._judge(result, requests)
            responses = [
                outbox.close(frame, wanted, answer)
                if request._release_flags != RELEASE_RESCHEDULE
                else outbox.reschedule(frame)
                for (frame, wanted), request, answer in zip(known, requests, answers)
            ]
        except BaseException as error:  # noqa: BLE001 - whatever a tensor's class of the model's own raises
            return self._failed(batch, error)
        outbox.over(known)
        self._strings += [item._array for request in requests for item in request._inputs if item._code == BYTES]
        batch.requests = []
        return responses, batch.ready_ns - batch.started_ns, done_ns - batch.ready_ns

    def _failed(self, batch: Batch, error: BaseException) -> Answers:
        """Each request gets the error, unless it was answered before; whoever sends from now on comes too late."""
        infer_ns = time.monotonic_ns() - batch.ready_ns
        requests, batch.requests = batch.requests, []
        text = f"Failed to process the request(s) for model '{self._instance_name}', message: {_text(error, requests)}"
        get_host().log(int(LogLevel.ERROR), self._model_file, 0, text)
        self.failures += len(batch.frames)
        for request in requests:
            request._release_flags = RELEASE_ALL
            if request._sender is not None:
                request._sender._close()
        self.outbox.over(batch.known)
        responses = [self.outbox.abandon(frame, text) for frame in batch.frames]
        return responses, batch.ready_ns - batch.started_ns, infer_ns

    def _meta(self, data: bytes) -> Meta:
        meta = self._metas.get(data)
        if meta is None:
            meta = Meta(data)
            if len(data) <= _MAX_CACHED_NBYTES:
                if len(self._metas) >= _MAX_CACHED:
                    self._metas.clear()
                self._metas[data] = meta
        return meta

    def _request(self, frame: PlainRequest, meta: Meta) -> InferenceRequest:
        key, _, layout, descriptors = frame
        lend = self._session.segments.lend
        hold = Hold(self._session, key)
        inputs = []
        for (name, code, shape), (segment, offset, nbytes, shared) in zip(self._layouts.decode(layout), descriptors):
            memory, writable = lend(segment, offset, nbytes, hold)
            tensor = Tensor._from_memory(name, code, shape, memory, writable)
            tensor._private = bool(shared)
            inputs.append(tensor)
        if not meta.plain:
            if meta.window:
                self._session.credits.open(key, meta.window)
            if meta.null:
                inputs += [zeros(*tensor) for tensor in self._layouts.decode(layout)]
            inputs += [control.tensor() for control in meta.controls]
        if self._states is not None:
            inputs += self._states.inputs(key, meta.slot, meta.flags)
        return InferenceRequest._incoming(
            key,
            meta.request_id,
            meta.correlation_id,
            meta.flags,
            meta.timeout_us,
            meta.parameters,
            inputs,
            meta.outputs,
            self._model_name,
            decoupled=self._decoupled,
            trace=NO_TRACE if meta.trace is None else InferenceTrace._of(meta.trace or None, key),
        )

    def _execute(self, requests: list[InferenceRequest]) -> Any:
        try:
            execute = self.model.execute
        except AttributeError:
            raise ExecuteError(f"Python model {self._model_file} does not implement `execute` method.") from None
        return execute(requests.copy())  # a list that the model may empty

    def _judge(self, result: Any, requests: Sequence[InferenceRequest]) -> Sequence[InferenceResponse | None]:
        """Triton's checks of what `execute` returned, in Triton's order."""
        if result is None:
            result = [None] * len(requests)
        elif self._decoupled:
            raise ExecuteError(
                f"Python model '{self._instance_name}' is using the decoupled mode and the execute function must "
                "return None."
            )
        if not isinstance(result, list):
            raise ExecuteError(f"Expected a list in the execute return, found type '{type(result)}'.")
        if len(result) != len(requests):
            raise ExecuteError(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(result)}\n"
            )
        for item, request in zip(result, requests):
            self._check_item(item, request)
        answers: Sequence[InferenceResponse | None] = result
        return answers

    def _check_item(self, item: Any, request: InferenceRequest) -> None:
        sender = request._sender
        if item is None:
            # Whoever keeps the request may still ask for its sender; when nobody does, the sender's end is noticed.
            sender = request.get_response_sender()
            if request._release_flags == RELEASE_RESCHEDULE:
                sender._close()
        elif request._release_flags == RELEASE_RESCHEDULE:
            raise ExecuteError(
                "Expected a None object in the execute function return list for reschduled request, found type "
                f"'{type(item)}'."
            )
        elif not isinstance(item, InferenceResponse):
            raise ExecuteError(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(item)}'."
            )
        elif sender is not None and not sender._supersede():
            raise ExecuteError(_SECOND_RESPONSE)


def _text(error: BaseException, requests: Sequence[InferenceRequest]) -> str:
    if isinstance(error, ExecuteError):
        return str(error)
    text = describe(error).text
    locked = any(not tensor._writable for request in requests for tensor in request._inputs)
    return text + _READ_ONLY if locked and isinstance(error, ValueError) and "read-only" in str(error) else text
