"""Running `execute`: requests out of a frame, and what the model returned checked as Triton checks it.

The order of the checks and their texts are Triton's. Knows the model only as an object with an `execute` attribute.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any, Sequence

from .faults import describe
from .messages import InferenceRequest, InferenceResponse
from .outbox import INTERNAL, Outbox, failure
from .session import Hold, Session
from .tensors import Tensor
from .wire import frames
from .wire.frames import RequestFrame, ResponseFrame
from .wire.layout import LayoutCache

_MAX_CACHED = 1024
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
        started_ns = time.monotonic_ns()
        batch, released = frames.decode_execute(data)
        if released:
            self._session.free(released)
        responses, input_ns, infer_ns = self._answer(batch, started_ns)
        for index, frame in enumerate(batch):
            if self._session.inputs_released(frame.key):
                responses[index] = responses[index]._replace(flags=responses[index].flags | frames.INPUTS_RELEASED)
        self.requests += len(batch)
        self._session.send(frames.encode_responses(responses, input_ns, infer_ns))

    def _answer(self, batch: Sequence[RequestFrame], started_ns: int) -> tuple[list[ResponseFrame], int, int]:
        """Everything that may refer to the inputs lives in this call, so that it is gone when this returns."""
        ready_ns = done_ns = started_ns
        requests: list[InferenceRequest] = []
        try:
            metas = [self._meta(frame.meta) for frame in batch]
            self.outbox.opened(batch, [meta.wanted for meta in metas])
            requests = [self._request(frame, meta) for frame, meta in zip(batch, metas)]
            ready_ns = time.monotonic_ns()
            try:
                answers = self._execute(requests)
            finally:
                done_ns = time.monotonic_ns()
            responses = [self.outbox.close(frame, answer) for frame, answer in zip(batch, answers)]
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a model are its errors too
            text = f"Failed to process the request(s) for model '{self._instance_name}', message: {_text(error)}"
            self.failures += len(batch)
            self.outbox.abandon(batch)
            for request in requests:
                if request._sender is not None:
                    request._sender._close()
            responses = [failure(frame.key, INTERNAL, text, frames.BATCH_FAILED) for frame in batch]
        return responses, ready_ns - started_ns, done_ns - ready_ns

    def _meta(self, data: bytes) -> Meta:
        meta = self._metas.get(data)
        if meta is None:
            if len(self._metas) >= _MAX_CACHED:
                self._metas.clear()
            meta = self._metas[data] = Meta(data)
        return meta

    def _request(self, frame: RequestFrame, meta: Meta) -> InferenceRequest:
        lend = self._session.segments.lend
        hold = Hold(self._session, frame.key)
        inputs = []
        tensors = self._layouts.decode(frame.layout)
        for (name, code, shape), (segment, offset, nbytes, _) in zip(tensors, frame.descriptors):
            memory = lend(segment, offset, nbytes, hold)
            inputs.append(Tensor._from_memory(name, code, shape, memory, memory.flags.writeable))
        return InferenceRequest._incoming(
            frame.key,
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
        result = execute(requests)
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
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

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
            if sender is None:  # Triton would leave the client waiting for ever
                raise ExecuteError("execute returned None for a request whose response sender nobody has.")
        elif not isinstance(item, InferenceResponse):
            raise ExecuteError(
                "Expected an 'InferenceResponse' object in the execute function return list, found type "
                f"'{type(item)}'."
            )
        elif sender is not None:
            if sender._sent:
                raise ExecuteError(_SECOND_RESPONSE)
            sender._close()


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, ExecuteError) else describe(error).text
