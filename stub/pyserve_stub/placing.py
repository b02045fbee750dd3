"""Responses made into frames: outputs placed in shared memory, or pointed at where they lie already.

Knows nothing of who is answered, and when.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from .responses import InferenceResponse
from .session import ArenaFull, EngineGone, Session
from .tensors import Tensor
from .wire import frames
from .wire.frames import PlainDescriptor, PlainRequest, PlainResponse
from .wire.layout import TensorMeta, encode_layout

INTERNAL = 1
_MAX_CACHED = 1024


class Placer:
    """Places the outputs of one stub; a full arena is waited for as `Session.allocate` says."""

    def __init__(self, session: Session, patience_s: float = 0.0) -> None:
        self._session = session
        self._patience_s = patience_s
        self._layouts: dict[tuple[tuple[str, int, tuple[int, ...]], ...], bytes] = {}

    def respond(
        self, frame: PlainRequest, wanted: frozenset[str], answer: InferenceResponse, flags: int = frames.FINAL
    ) -> PlainResponse:
        """A response as the engine reads it; its data is copied, so that the model may use its arrays again."""
        key = frame[0]
        error = answer._error
        if error is not None:
            return failure(key, int(error.code()), error.message(), flags)
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
            return (key, 0, flags, self._layout(tuple(metas)), text, descriptors)
        except ArenaFull as full:
            self.free(descriptors)
            return failure(key, INTERNAL, f"Failed to increase the shared memory pool size: {full}", flags)
        except EngineGone:
            raise
        except Exception as fault:  # noqa: BLE001 - what cannot be sent fails its own request, not the whole batch
            self.free(descriptors)
            return failure(key, INTERNAL, f"Failed to send the response: {fault}", flags)

    def free(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """A response that is not sent after all."""
        self._session.free([item[3] for item in descriptors if item[3]])

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
        if nbytes == 0:
            return (0, 0, 0, 0)
        block, segment_id, offset, _ = self._session.allocate(nbytes, self._patience_s)
        self._session.segments.get(segment_id).view[offset : offset + nbytes] = payload
        return (segment_id, offset, nbytes, block)


def failure(key: int, code: int, text: str, flags: int = frames.FINAL) -> PlainResponse:
    """An answer that is an error."""
    return (key, code + 1, flags, b"", text.encode("utf-8", "replace"), ())
