"""Answers on their way out: outputs placed in shared memory, responses made into frames, late ones sent by themselves.

A request whose answer is not there when `execute` returns stays open until its response sender says FINAL. Knows
nothing of how a model is run.
"""

from __future__ import annotations

import threading
from typing import Any, Sequence

import numpy as np

from .messages import InferenceResponse
from .session import ArenaFull, Session
from .vocabulary import RESPONSE_COMPLETE_FINAL
from .wire import frames
from .wire.frames import Descriptor, RequestFrame, ResponseFrame
from .wire.layout import TensorMeta, encode_layout

INTERNAL = 1
_MAX_CACHED = 1024


class Open:
    """A request that may still be answered by its sender; `returned` is whether `execute` has left it behind."""

    __slots__ = ("answer", "final", "frame", "returned", "wanted")

    def __init__(self, frame: RequestFrame, wanted: frozenset[str]) -> None:
        self.frame = frame
        self.wanted = wanted
        self.answer: InferenceResponse | None = None
        self.final = False
        self.returned = False


class Outbox:
    """The answers of one stub."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._encoded: dict[tuple[TensorMeta, ...], bytes] = {}
        self._open: dict[int, Open] = {}
        self._lock = threading.Lock()

    def opened(self, batch: Sequence[RequestFrame], wanted: Sequence[frozenset[str]]) -> None:
        """These requests are about to be executed."""
        for frame, names in zip(batch, wanted):
            self._open[frame.key] = Open(frame, names)

    def abandon(self, batch: Sequence[RequestFrame]) -> None:
        """`execute` failed: what senders of these requests say from now on reaches nobody."""
        for frame in batch:
            self._open.pop(frame.key, None)

    def close(self, frame: RequestFrame, returned: InferenceResponse | None) -> ResponseFrame:
        """The answer to a request when `execute` has returned: given back, sent already, or to follow."""
        with self._lock:
            item = self._open[frame.key]
            if returned is None and not item.final:
                item.returned = True
                return ResponseFrame(frame.key, 0, frames.DEFERRED, b"", b"", ())
            del self._open[frame.key]
        answer = returned if returned is not None else item.answer
        return self._respond(item, answer)

    def send(self, key: int, response: InferenceResponse | None, flags: int) -> None:
        """A response sender's `send`: the answer leaves with FINAL, or with its batch if that is still executing."""
        with self._lock:
            item = self._open.get(key)
            if item is None:
                return
            if response is not None:
                item.answer = response
            if not flags & RESPONSE_COMPLETE_FINAL:
                return
            item.final = True
            if not item.returned:
                return
            del self._open[key]
        self._session.send(frames.encode_responses((self._respond(item, item.answer),)))

    def fail(self, key: int, text: str) -> None:
        """Nobody can answer this request any more."""
        with self._lock:
            item = self._open.get(key)
            if item is None or not item.returned:
                return
            del self._open[key]
        self._session.send(frames.encode_responses((failure(key, INTERNAL, text),)))

    def _respond(self, item: Open, answer: InferenceResponse | None) -> ResponseFrame:
        key = item.frame.key
        if answer is None:
            return failure(key, INTERNAL, "the request was ended without a response")
        error = answer.error()
        if error is not None:
            return failure(key, int(error.code()), error.message())
        metas: list[TensorMeta] = []
        descriptors: list[Descriptor] = []
        try:
            for tensor in answer.output_tensors():
                if item.wanted and tensor.name() not in item.wanted:
                    continue
                code, shape, payload = tensor._wire()
                metas.append(TensorMeta(tensor.name(), code, tuple(shape)))
                descriptors.append(self._place(item.frame, payload))
        except ArenaFull as full:
            self._session.free([descriptor.lease for descriptor in descriptors if descriptor.lease])
            return failure(key, INTERNAL, f"Failed to increase the shared memory pool size: {full}")
        parameters = answer.parameters()
        text = parameters.encode() if parameters not in ("", "{}") else b""
        return ResponseFrame(key, 0, frames.FINAL, self._layout(tuple(metas)), text, descriptors)

    def _layout(self, metas: tuple[TensorMeta, ...]) -> bytes:
        layout = self._encoded.get(metas)
        if layout is None:
            if len(self._encoded) >= _MAX_CACHED:
                self._encoded.clear()
            layout = self._encoded[metas] = encode_layout(metas)
        return layout

    def _place(self, frame: RequestFrame, payload: Any) -> Descriptor:
        """Where the output's bytes are: in the request's own input memory if they came from there, else copied."""
        if isinstance(payload, np.ndarray):
            nbytes = payload.nbytes
            found = self._session.segments.find(payload) if nbytes else None
            if found is not None:
                segment, offset = found
                for own in frame.descriptors:
                    if own[0] == segment.id and own[1] <= offset and offset + nbytes <= own[1] + own[2]:
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


def failure(key: int, code: int, text: str, flags: int = 0) -> ResponseFrame:
    """An answer that is an error."""
    return ResponseFrame(key, code + 1, frames.FINAL | flags, b"", text.encode("utf-8", "replace"), ())
