"""Traces as values, and their text in Triton's file format. Knows no clock, no file, and not how they come about.

Numbers are written as C++ streams write them, six digits. Unlike Triton's, the text is valid JSON whatever a tensor
holds, and bytes are numbers, not characters.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

TIMESTAMPS: Final = "TIMESTAMPS"
TENSORS: Final = "TENSORS"

COMPLETE: Final = "INFER_RESPONSE_COMPLETE"
_COMPUTE: Final = ("COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END")
#: Half precision has no text in Triton's traces.
_DTYPES: Final = {
    "BOOL": "u1",
    **{f"{sign}INT{8 * size}": f"<{kind}{size}" for sign, kind in (("", "i"), ("U", "u")) for size in (1, 2, 4, 8)},
    "FP32": "<f4",
    "FP64": "<f8",
}


class Front(enum.Enum):
    """Through what a request came: the names of its timestamps."""

    HTTP = ("HTTP_RECV_START", "HTTP_RECV_END", "HTTP_SEND_START", "HTTP_SEND_END")
    GRPC = ("GRPC_WAITREAD_START", "GRPC_WAITREAD_END", "GRPC_SEND_START", "GRPC_SEND_END")
    LANE = ()


@dataclass(frozen=True, slots=True)
class TracedTensor:
    """A copy of a tensor that went into a queue or came out of a model."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(slots=True, kw_only=True)
class Part:
    """What one model did for a request; a time of 0 has not come."""

    id: int
    parent_id: int
    model: str
    version: int
    request_id: str = ""
    request_start_ns: int = 0
    queue_start_ns: int = 0
    request_end_ns: int = 0
    inputs: list[TracedTensor] = field(default_factory=list)
    #: The tensors of responses and, of the client's own request, when each response was complete.
    outputs: list[TracedTensor | int] = field(default_factory=list)
    #: The four times of each execution.
    computes: list[tuple[int, int, int, int]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TraceRecord:
    """One request of a client, and all that came of it; the first part is its own."""

    levels: Sequence[str]
    front: Front
    #: When the request began and ended to arrive.
    received_ns: tuple[int, int]
    parts: list[Part] = field(default_factory=list)
    #: When each response began and ended to leave.
    sent_ns: list[list[int]] = field(default_factory=list)

    def received(self) -> Iterator[tuple[str, int]]:
        """Names and times of its arrival."""
        return zip(self.front.value[:2], self.received_ns)

    def sent(self) -> Iterator[tuple[str, int]]:
        """Names and times of its responses' leaving."""
        for pair in self.sent_ns:
            yield from zip(self.front.value[2:], pair)

    def completed_ns(self) -> Iterator[int]:
        """When responses were complete: over gRPC only the first is noted, as by Triton."""
        if self.parts and self.front is not Front.LANE:
            times = [item for item in self.parts[0].outputs if isinstance(item, int)]
            yield from times[:1] if self.front is Front.GRPC else times


def render(records: Sequence[TraceRecord]) -> str:
    """Traces as they stand in a file, between its brackets."""
    return ",".join(text for record in records for text in _records(record))


def _records(record: TraceRecord) -> Iterator[str]:
    for part in record.parts[:0:-1]:  # the youngest first, as Triton's
        yield from _of_part(part, record)
    if record.parts:
        yield from _of_first(record.parts[0], record)


def _of_first(part: Part, record: TraceRecord) -> Iterator[str]:
    timed = TIMESTAMPS in record.levels
    received = [_timestamp(part.id, *item) for item in record.received()] if timed else []
    if record.front is Front.HTTP:
        yield from received
    yield from _of_part(part, record)
    if record.front is Front.GRPC:
        yield from received
        yield from (_timestamp(part.id, COMPLETE, ns) for ns in record.completed_ns() if timed)
    if timed:
        yield from (_timestamp(part.id, name, ns) for name, ns in record.sent() if ns)


def _of_part(part: Part, record: TraceRecord) -> Iterator[str]:
    timed = TIMESTAMPS in record.levels
    if timed:
        yield _model(part)
        yield _timestamp(part.id, "REQUEST_START", part.request_start_ns)
        yield _timestamp(part.id, "QUEUE_START", part.queue_start_ns)
    yield from (_tensor(part.id, "TENSOR_QUEUE_INPUT", item) for item in part.inputs)
    for item in part.outputs:
        if isinstance(item, TracedTensor):
            yield _tensor(part.id, "TENSOR_BACKEND_OUTPUT", item)
        elif timed and record.front is Front.HTTP:
            yield _timestamp(part.id, COMPLETE, item)
    if timed:
        for times in part.computes:
            yield from (_timestamp(part.id, name, ns) for name, ns in zip(_COMPUTE, times))
        yield _timestamp(part.id, "REQUEST_END", part.request_end_ns)


def compute_events(part: Part) -> Iterator[tuple[tuple[str, int], ...]]:
    """Names and times of each execution."""
    return (tuple(zip(_COMPUTE, times)) for times in part.computes)


def _model(part: Part) -> str:
    request = f',"request_id":{_quote(part.request_id)}' if part.request_id else ""
    parent = f',"parent_id":{part.parent_id}' if part.parent_id else ""
    return f'{{"id":{part.id},"model_name":{_quote(part.model)},"model_version":{part.version}{request}{parent}}}'


def _timestamp(number: int, name: str, ns: int) -> str:
    return f'{{"id":{number},"timestamps":[{{"name":"{name}","ns":{ns}}}]}}'


def _tensor(number: int, activity: str, tensor: TracedTensor) -> str:
    shape = ",".join(map(str, tensor.shape))
    return (
        f'{{"id":{number},"activity":"{activity}","tensor":{{"name":{_quote(tensor.name)},'
        f'"data":{_quote(_data(tensor))},"shape":"{shape}","dtype":"{tensor.datatype}"}}}}'
    )


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _data(tensor: TracedTensor) -> str:
    if tensor.datatype == "BYTES":
        return ",".join(f'"{item.decode("utf-8", "backslashreplace")}"' for item in _strings(tensor.data))
    dtype = _DTYPES.get(tensor.datatype)
    if dtype is None:
        return ""
    values = np.frombuffer(tensor.data, dtype)
    if tensor.datatype == "BOOL":
        values = (values != 0).astype("u1")
    return ",".join(("%g" if "f" in dtype else "%d") % value for value in values.tolist())


def _strings(data: bytes) -> Iterator[bytes]:
    """The elements of a BYTES tensor in wire form, as far as it goes."""
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        if end > len(data):
            return
        yield data[at + 4 : end]
        at = end
