"""Answers on their way out: outputs placed in shared memory, responses made into frames, late ones sent by themselves.

A request whose answer is not there when `execute` returns stays open until its response sender says FINAL, or nobody
has the sender any more. What a sender sends is copied at once, so that the model may use its arrays again. Knows
nothing of how a model is run.
"""

from __future__ import annotations

import threading
from typing import Any, Sequence

import numpy as np

from .messages import InferenceResponse
from .session import ArenaFull, EngineGone, Session
from .tensors import Tensor
from .vocabulary import RESPONSE_COMPLETE_FINAL
from .wire import frames
from .wire.frames import PlainDescriptor, PlainRequest, PlainResponse
from .wire.layout import TensorMeta, encode_layout

INTERNAL = 1
_MAX_CACHED = 1024
_DROPPED = (
    "nothing can answer this request any more: execute returned no response for it, and its response sender was "
    "dropped without FINAL"
)


class Open:
    """A request that its sender may answer.

    `left` is whether the engine was told that the answer comes by itself; before that none may.
    """

    __slots__ = ("dropped", "final", "frame", "left", "placing", "ready", "wanted")

    def __init__(self, frame: PlainRequest, wanted: frozenset[str]) -> None:
        self.frame = frame
        self.wanted = wanted
        self.ready: PlainResponse | None = None
        self.placing = False
        self.final = False
        self.dropped = False
        self.left = False


class Outbox:
    """The answers of one stub."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._layouts: dict[tuple[tuple[str, int, tuple[int, ...]], ...], bytes] = {}
        self._batch: Sequence[tuple[PlainRequest, frozenset[str]]] = ()
        self._open: dict[int, Open] = {}
        # Re-entrant: the destructor of a sender calls `drop` wherever it happens to run, maybe where the lock is held.
        self._lock = threading.RLock()

    def opened(self, batch: Sequence[tuple[PlainRequest, frozenset[str]]]) -> None:
        """These requests, with the names of the outputs that are wanted, are about to be executed."""
        self._batch = batch

    def close(self, frame: PlainRequest, wanted: frozenset[str], returned: InferenceResponse | None) -> PlainResponse:
        """The answer to a request when `execute` has returned: given back, sent already, or to follow."""
        if returned is not None:
            return self._respond(frame, wanted, returned)
        with self._lock:
            item = self._find(frame[0])
            assert item is not None
            if item.ready is None or not item.final:
                return (frame[0], 0, frames.DEFERRED, b"", b"", ())
            del self._open[frame[0]]
        return item.ready

    def abandon(self, frame: PlainRequest, text: str) -> PlainResponse:
        """`execute` failed: its text, unless the request was answered before. Later answers reach nobody."""
        self._batch = ()
        with self._lock:
            item = self._open.pop(frame[0], None)
        if item is not None and item.ready is not None:
            if item.final:
                return item.ready
            self._free(item.ready[5])
        return failure(frame[0], INTERNAL, text)

    def leave(self, keys: Sequence[int]) -> None:
        """The engine knows now that the answers to these requests of the batch come by themselves."""
        self._batch = ()
        for key in keys:
            with self._lock:
                item = self._open[key]
                item.left = True
                answer = self._due(item)
            self._send(answer)

    def send(self, key: int, response: InferenceResponse | None, flags: int) -> None:
        """A response sender's `send`: the answer leaves with FINAL, or with its batch if that is still executing."""
        with self._lock:
            item = self._find(key)
            if item is None:
                return
            item.placing = item.placing or response is not None
        ready = self._respond(item.frame, item.wanted, response) if response is not None else None
        with self._lock:
            if ready is not None:
                item.placing = False
                if self._open.get(key) is not item:
                    self._free(ready[5])
                    return
                item.ready = ready
            item.final = item.final or bool(flags & RESPONSE_COMPLETE_FINAL)
            answer = self._due(item)
        self._send(answer)

    def drop(self, key: int) -> None:
        """Nobody has the sender of this request any more. Called by destructors, in any thread at any moment."""
        with self._lock:
            item = self._find(key)
            if item is None:
                return
            item.dropped = True
            answer = self._due(item)
        try:
            self._send(answer)
        except (EngineGone, OSError):
            pass

    def _find(self, key: int) -> Open | None:
        """The open request of that key; one that is being executed is opened by its sender's first word."""
        item = self._open.get(key)
        if item is None:
            for frame, wanted in self._batch:
                if frame[0] == key:
                    item = self._open[key] = Open(frame, wanted)
        return item

    def _due(self, item: Open) -> PlainResponse | None:
        """What has to be sent for an open request now; it is not open any more then."""
        key = item.frame[0]
        if not item.left or item.placing or not (item.final or item.dropped) or self._open.get(key) is not item:
            return None
        del self._open[key]
        if item.final and item.ready is not None:
            return item.ready
        if item.ready is not None:
            self._free(item.ready[5])
        return failure(key, INTERNAL, _DROPPED)

    def _send(self, answer: PlainResponse | None) -> None:
        if answer is not None:
            self._session.send(frames.encode_responses((answer,)))

    def _free(self, descriptors: Sequence[PlainDescriptor]) -> None:
        self._session.free([item[3] for item in descriptors if item[3]])

    def _respond(self, frame: PlainRequest, wanted: frozenset[str], answer: InferenceResponse) -> PlainResponse:
        key = frame[0]
        error = answer._error
        if error is not None:
            return failure(key, int(error.code()), error.message())
        metas = []
        descriptors: list[PlainDescriptor] = []
        try:
            for tensor in answer._outputs:
                name = tensor._name
                if wanted and name not in wanted:
                    continue
                code, shape, payload = tensor._wire()
                metas.append((name, code, shape))
                descriptors.append(self._place(frame, tensor, payload))
            parameters = answer._parameters
            text = parameters.encode("utf-8", "surrogateescape") if parameters not in ("{}", "") else b""
            return (key, 0, frames.FINAL, self._layout(tuple(metas)), text, descriptors)
        except ArenaFull as full:
            self._free(descriptors)
            return failure(key, INTERNAL, f"Failed to increase the shared memory pool size: {full}")
        except EngineGone:
            raise
        except Exception as fault:  # noqa: BLE001 - what cannot be sent fails its own request, not the whole batch
            self._free(descriptors)
            return failure(key, INTERNAL, f"Failed to send the response: {fault}")

    def _layout(self, metas: tuple[tuple[str, int, tuple[int, ...]], ...]) -> bytes:
        layout = self._layouts.get(metas)
        if layout is None:
            if len(self._layouts) >= _MAX_CACHED:
                self._layouts.clear()
            layout = self._layouts[metas] = encode_layout([TensorMeta(*meta) for meta in metas])
        return layout

    def _place(self, frame: PlainRequest, tensor: Tensor, payload: Any) -> PlainDescriptor:
        """Where the output's bytes are: in the request's own input memory if they came from there, else copied."""
        if isinstance(payload, np.ndarray):
            nbytes = payload.nbytes
            source = tensor._array
            if nbytes and (source is None or source.base is not None):  # else it is memory of its own
                found = self._session.segments.find(payload)
                if found is not None:
                    segment, offset = found
                    for own in frame[3]:
                        if own[0] == segment.id and own[1] <= offset and offset + nbytes <= own[1] + own[2]:
                            return (segment.id, offset, nbytes, 0)
        else:
            nbytes = len(payload)
            payload = np.frombuffer(payload, dtype=np.uint8)
        if nbytes == 0:
            return (0, 0, 0, 0)
        block, segment_id, offset, _ = self._session.allocate(nbytes)
        self._session.segments.get(segment_id).array[offset : offset + nbytes] = payload
        return (segment_id, offset, nbytes, block)


def failure(key: int, code: int, text: str) -> PlainResponse:
    """An answer that is an error."""
    return (key, code + 1, frames.FINAL, b"", text.encode("utf-8", "replace"), ())
