"""Running `execute`: requests out of a frame, and what the model returned checked as Triton checks it.

The order of the checks and their texts are Triton's. Knows the model only as an object with an `execute` attribute.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import types
from typing import Any, Sequence

from .faults import describe
from .host import get_host
from .messages import InferenceRequest, InferenceResponse
from .outbox import Outbox
from .session import Hold, Session
from .tensors import Tensor
from .vocabulary import LogLevel
from .wire import frames
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

    __slots__ = ("correlation_id", "flags", "outputs", "parameters", "request_id", "timeout_us", "wanted")

    def __init__(self, data: bytes) -> None:
        fields = json.loads(data) if data else {}
        self.request_id: str = fields.get("id", "")
        self.correlation_id: Any = fields.get("correlation_id", 0)
        self.flags: int = fields.get("flags", 0)
        self.timeout_us: int = fields.get("timeout_us", 0)
        self.parameters: str = fields.get("parameters", "{}")
        self.outputs: tuple[str, ...] = tuple(fields.get("outputs", ()))
        self.wanted = frozenset(self.outputs)


class Executor:
    """Executes batches of one model instance."""

    def __init__(self, session: Session, model_name: str, instance_name: str, model_file: str, decoupled: bool) -> None:
        self._session = session
        self._model_name = model_name
        self._instance_name = instance_name
        self._model_file = model_file
        self._decoupled = decoupled
        self._layouts = LayoutCache()
        self._metas: dict[bytes, Meta] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.outbox = Outbox(session)
        self.model: Any = None
        self.requests = 0
        self.failures = 0

    def run(self, data: bytes) -> None:
        """Execute one frame and answer it."""
        session = self._session
        started_ns = time.monotonic_ns()
        batch, released = frames.decode_execute(data)
        if released:
            session.free(released)
        responses, input_ns, infer_ns = self._answer(batch, started_ns)
        late = []
        for index, (key, code, flags, layout, text, descriptors) in enumerate(responses):
            if session.inputs_released(key):
                responses[index] = (key, code, flags | frames.INPUTS_RELEASED, layout, text, descriptors)
            if flags & frames.DEFERRED:
                late.append(key)
        self.requests += len(batch)
        session.send(frames.encode_responses(responses, input_ns, infer_ns))
        self.outbox.leave(late)

    def _answer(self, batch: Sequence[PlainRequest], started_ns: int) -> tuple[list[PlainResponse], int, int]:
        """Everything that may refer to the inputs lives in this call, so that it is gone when this returns."""
        ready_ns = done_ns = started_ns
        requests: list[InferenceRequest] = []
        outbox = self.outbox
        try:
            metas = [self._meta(frame[1]) for frame in batch]
            known = [(frame, meta.wanted) for frame, meta in zip(batch, metas)]
            outbox.opened(known)
            requests = [self._request(frame, meta) for frame, meta in zip(batch, metas)]
            ready_ns = time.monotonic_ns()
            try:
                answers = self._execute(requests)
            finally:
                done_ns = time.monotonic_ns()
            responses = [outbox.close(frame, wanted, answer) for (frame, wanted), answer in zip(known, answers)]
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a model are its errors too
            text = (
                f"Failed to process the request(s) for model '{self._instance_name}', message: {_text(error, requests)}"
            )
            get_host().log(int(LogLevel.ERROR), self._model_file, 0, text)
            self.failures += len(batch)
            for request in requests:
                if request._sender is not None:
                    request._sender._close()
            responses = [_mark_failed(outbox.abandon(frame, text)) for frame in batch]
        return responses, ready_ns - started_ns, done_ns - ready_ns

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
        )

    def _execute(self, requests: list[InferenceRequest]) -> Sequence[InferenceResponse | None]:
        try:
            execute = self.model.execute
        except AttributeError:
            raise ExecuteError(f"Python model {self._model_file} does not implement `execute` method.") from None
        result = execute(requests.copy())  # a list that the model may empty
        if asyncio.iscoroutine(result):
            result = self._run_coroutine(result)
        if result is None:
            result = [None] * len(requests)
        elif self._decoupled:
            raise ExecuteError(
                f"Python model '{self._instance_name}' is using the decoupled mode and the execute function must "
                "return None."
            )
        self._check(result, requests)
        answers: Sequence[InferenceResponse | None] = result
        return answers

    def _run_coroutine(self, coroutine: Any) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            threading.Thread(target=self._loop.run_forever, name="pyserve-asyncio", daemon=True).start()
        if isinstance(coroutine, types.GeneratorType):  # asyncio took them for coroutines before 3.12, and says so
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()  # type: ignore[arg-type]
        result, exit_error = asyncio.run_coroutine_threadsafe(_contain(coroutine), self._loop).result()
        if exit_error is not None:
            raise exit_error
        return result

    def _check(self, result: Any, requests: Sequence[InferenceRequest]) -> None:
        """Triton's checks of what `execute` returned, in Triton's order."""
        if not isinstance(result, list):
            raise ExecuteError(f"Expected a list in the execute return, found type '{type(result)}'.")
        if len(result) != len(requests):
            raise ExecuteError(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{len(requests)}, and InferenceResponse(s) size is:{len(result)}\n"
            )
        for item, request in zip(result, requests):
            self._check_item(item, request)

    def _check_item(self, item: Any, request: InferenceRequest) -> None:
        sender = request._sender
        if item is None:
            # Whoever keeps the request may still ask for its sender; when nobody does, the sender's end is noticed.
            request.get_response_sender()
        elif not isinstance(item, InferenceResponse):
            raise ExecuteError(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(item)}'."
            )
        elif sender is not None and not sender._supersede():
            raise ExecuteError(_SECOND_RESPONSE)


async def _contain(coroutine: Any) -> Any:
    """The result, or the exception that would end the event loop's thread."""
    try:
        return await coroutine, None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


def _mark_failed(answer: PlainResponse) -> PlainResponse:
    key, code, flags, layout, text, descriptors = answer
    return (key, code, flags | frames.BATCH_FAILED, layout, text, descriptors)


def _text(error: BaseException, requests: Sequence[InferenceRequest]) -> str:
    if isinstance(error, ExecuteError):
        return str(error)
    text = describe(error).text
    locked = any(not tensor._writable for request in requests for tensor in request._inputs)
    return text + _READ_ONLY if locked and isinstance(error, ValueError) and "read-only" in str(error) else text
