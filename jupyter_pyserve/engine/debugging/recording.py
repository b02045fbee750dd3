"""Requests that are kept to be run again: the newest ones, as many as fit into a number and a size.

Only values and the shelf that they stand on; who is kept, and when, is `recorder`'s.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.client import encode_request
from jupyter_pyserve.v2.messages import InferRequest

HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One request as a model got it, and what became of it: `error` is empty when it was answered.

    `blobs` are the inputs in wire form, or None when they were too large to be kept.
    """

    id: str
    model: str
    version: str
    instance: str
    model_file: str
    args: Mapping[str, str]
    time: float
    error: str
    request: InferRequest
    #: The shapes that the model sees, which `reshape` in its configuration makes others than the client's.
    seen: Mapping[str, tuple[int, ...]]
    blobs: Sequence[bytes] | None
    nbytes: int

    def to_json_dict(self) -> dict[str, Any]:
        """As the control API lists it."""
        request = self.request
        return {
            "id": self.id,
            "model": self.model,
            "version": self.version,
            "instance": self.instance,
            "time": self.time,
            "error": self.error,
            "inputs": [
                {"name": item.name, "datatype": item.datatype, "shape": list(item.shape)} for item in request.inputs
            ],
            "parameters": dict(request.parameters),
            "request_id": request.id,
            "correlation_id": request.correlation_id,
            "flags": request.flags,
            "nbytes": self.nbytes,
            "kept": self.blobs is not None,
        }

    def body(self) -> tuple[int, bytes]:
        """The request as the body of an inference, and the length of its JSON part."""
        if self.blobs is None:
            text = f"the inputs of recording '{self.id}' were not kept: they have {self.nbytes} bytes"
            raise PyServeError(Code.UNAVAILABLE, text)
        header = encode_request(self.request)
        return len(header), b"".join((header, *self.blobs))


class Shelf:
    """Recordings by id, oldest first; what is too much goes from the front."""

    def __init__(self, limit_nbytes: int) -> None:
        self.limit_nbytes = limit_nbytes
        self._recordings: OrderedDict[str, Recording] = OrderedDict()
        self._counts: Counter[str] = Counter()
        self._nbytes = 0

    def put(self, recording: Recording, limit: int) -> None:
        """Keep one, and at most `limit` of its model."""
        self._recordings[recording.id] = recording
        self._nbytes += _held(recording)
        self._counts[recording.model] += 1
        self.trim(recording.model, limit)
        while self._nbytes > self.limit_nbytes:
            self.drop(next(iter(self._recordings)))

    def trim(self, model: str, limit: int) -> None:
        """Keep at most `limit` of a model."""
        own = [item.id for item in self.of(model)]
        for name in own[: max(0, len(own) - limit)]:
            self.drop(name)

    def get(self, name: str) -> Recording:
        """One of them; raises NOT_FOUND when it is not, or no longer, there."""
        recording = self._recordings.get(name)
        if recording is None:
            raise PyServeError(Code.NOT_FOUND, f"there is no recording '{name}': only the newest are kept")
        return recording

    def drop(self, name: str) -> None:
        """Forget one."""
        recording = self.get(name)
        self._nbytes -= _held(recording)
        self._counts[recording.model] -= 1
        del self._recordings[name]

    def count(self, model: str) -> int:
        """How many there are of a model."""
        return self._counts[model]

    def of(self, model: str = "") -> list[Recording]:
        """Those of a model, or all, oldest first."""
        return [item for item in self._recordings.values() if model in ("", item.model)]


def _held(recording: Recording) -> int:
    return recording.nbytes if recording.blobs is not None else 0
