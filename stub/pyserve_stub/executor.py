"""Running `execute`: requests out of a frame, the model's answer checked as Triton checks it, responses into a frame.

The order of the checks and their texts are Triton's. Knows the model only as an object with an `execute` attribute.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from .faults import describe
from .messages import InferenceRequest, InferenceResponse
from .session import ArenaFull, Hold, Session
from .tensors import Tensor
from .wire import frames
from .wire.frames import Descriptor, RequestFrame, ResponseFrame
from .wire.layout import LayoutCache, TensorMeta, encode_layout

INTERNAL = 1
_MAX_CACHED = 1024


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
        self.outputs: Tuple[str, ...] = tuple(fields.get("outputs", ()))
        self.wanted = frozenset(self.outputs)


class Executor:
    """Executes batches of one model instance."""

    def __init__(self, session: Session, model_name: str, instance_name: str, model_file: str, decoupled: bool) -> None:
        self._session = session
        self._model_name = model_name
        self._instance_name = instance_name
        self._model_file = model_file
        self._decoupled = decoupled
        self._decoded = LayoutCache()
        self._encoded: Dict[Tuple[TensorMeta, ...], bytes] = {}
        self._metas: Dict[bytes, Meta] = {}
        self._loop: Optional[asyncio.AbstractEventLoop] = None
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

    def _answer(self, batch: Sequence[RequestFrame], started_ns: int) -> Tuple[List[ResponseFrame], int, int]:
        """Everything that may refer to the inputs lives in this call, so that it is gone when this returns."""
        ready_ns = done_ns = started_ns
        try:
            metas = [self._meta(frame.meta) for frame in batch]
            requests = [self._request(frame, meta) for frame, meta in zip(batch, metas)]
            ready_ns = time.monotonic_ns()
            try:
                answers = self._execute(requests)
            finally:
                done_ns = time.monotonic_ns()
            responses = [
                self._response(frame, meta, answer) for frame, meta, answer in zip(batch, metas, answers)
            ]
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a model are its errors too
            text = f"Failed to process the request(s) for model '{self._instance_name}', message: {_text(error)}"
            self.failures += len(batch)
            responses = [_failure(frame.key, INTERNAL, text, frames.BATCH_FAILED) for frame in batch]
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
        for (name, code, shape), (segment, offset, nbytes, _) in zip(
            self._decoded.decode(frame.layout), frame.descriptors
        ):
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
        )

    def _execute(self, requests: List[InferenceRequest]) -> List[InferenceResponse]:
        try:
            execute = self.model.execute
        except AttributeError:
            raise ExecuteError(f"Python model {self._model_file} does not implement `execute` method.") from None
        expected = len(requests)
        result = execute(requests)
        if asyncio.iscoroutine(result):
            result = self._run_coroutine(result)
        return self._check(result, expected)

    def _run_coroutine(self, coroutine: Any) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            threading.Thread(target=self._loop.run_forever, name="pyserve-asyncio", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _check(self, result: Any, expected: int) -> List[InferenceResponse]:
        """Triton's checks of what `execute` returned, in Triton's order."""
        if self._decoupled and result is not None:
            raise ExecuteError(
                f"Python model '{self._instance_name}' is using the decoupled mode and the execute function must "
                "return None."
            )
        if result is None:
            raise ExecuteError("execute returned None, and no response was sent for the request(s).")
        if not isinstance(result, list):
            raise ExecuteError(f"Expected a list in the execute return, found type '{type(result)}'.")
        if len(result) != expected:
            raise ExecuteError(
                "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
                f"InferenceRequest(s) size is:{expected}, and InferenceResponse(s) size is:{len(result)}\n"
            )
        for item in result:
            if item is None:
                raise ExecuteError("execute returned None in place of a response, and no response was sent for it.")
            if not isinstance(item, InferenceResponse):
                raise ExecuteError(
                    "Expected an 'InferenceResponse' object in the execute function return list, found type "
                    f"'{type(item)}'."
                )
        return result

    def _response(self, frame: RequestFrame, meta: Meta, answer: InferenceResponse) -> ResponseFrame:
        if answer.has_error():
            error = answer.error()
            return _failure(frame.key, int(error.code()), error.message())
        metas: List[TensorMeta] = []
        descriptors: List[Descriptor] = []
        try:
            for tensor in answer.output_tensors():
                if meta.wanted and tensor.name() not in meta.wanted:
                    continue
                code, shape, payload = tensor._wire()
                metas.append(TensorMeta(tensor.name(), code, tuple(shape)))
                descriptors.append(self._place(frame, payload))
        except ArenaFull as error:
            self._session.free([item.lease for item in descriptors if item.lease])
            raise ExecuteError(f"Failed to increase the shared memory pool: {error}") from None
        key = tuple(metas)
        layout = self._encoded.get(key)
        if layout is None:
            if len(self._encoded) >= _MAX_CACHED:
                self._encoded.clear()
            layout = self._encoded[key] = encode_layout(metas)
        parameters = answer.parameters()
        text = parameters.encode() if parameters not in ("", "{}") else b""
        return ResponseFrame(frame.key, 0, frames.FINAL, layout, text, descriptors)

    def _place(self, frame: RequestFrame, payload: Any) -> Descriptor:
        """Where the output's bytes are: in the request's own input memory if they came from there, else copied."""
        if isinstance(payload, np.ndarray):
            nbytes = payload.nbytes
            found = self._session.segments.find(payload) if nbytes else None
            if found is not None:
                segment, offset = found
                for item in frame.descriptors:
                    if (
                        item.segment == segment.id
                        and item.offset <= offset
                        and offset + nbytes <= item.offset + item.nbytes
                    ):
                        return Descriptor(segment.id, offset, nbytes, 0)
        else:
            nbytes = len(payload)
            payload = np.frombuffer(payload, dtype=np.uint8)
        if nbytes == 0:
            return Descriptor(0, 0, 0, 0)
        block = self._session.allocate(nbytes)
        array = self._session.segments.get(block.segment).array
        array[block.offset : block.offset + nbytes] = payload.reshape(-1).view(np.uint8)
        return Descriptor(block.segment, block.offset, nbytes, block.id)


def _failure(key: int, code: int, text: str, flags: int = 0) -> ResponseFrame:
    return ResponseFrame(key, code + 1, frames.FINAL | flags, b"", text.encode("utf-8", "replace"), ())


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, ExecuteError) else describe(error).text
