"""The values that inference requests and responses are made of, whoever carries them.

Only values: how they are read is in `parse`, how they are checked in `validate`, how they are written in `render`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

ParameterValue = str | bool | int | float

FLAG_SEQUENCE_START = 1
FLAG_SEQUENCE_END = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ShmRef:
    """A tensor that lies in (or goes to) a region which the client has registered."""

    region: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRef:
    """One input tensor and where its bytes are: in the body from `offset`, `inline` (was JSON data), or in a `region`.

    `offset` counts from the start of the body and means something only when both others are None. `nbytes` is the size
    of the tensor, which begins with `lead` when that is not empty: bytes that the body does not have, but the tensor
    does (the length of a raw BYTES request).
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    inline: bytes | None = None
    region: ShmRef | None = None
    lead: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRef:
    """One output that the client listed, and the form in which it wants it."""

    name: str
    binary: bool = False
    classification: int = 0
    region: ShmRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """A request as the client stated it: parsed, not yet compared with a model; shared by equal requests, so immutable.

    `outputs` holds what was listed, empty meaning all; `binary_data_output` is the form of those that were not listed.
    `correlation_id` 0 and "" mean that the request belongs to no sequence.
    """

    id: str
    inputs: tuple[InputRef, ...]
    outputs: tuple[OutputRef, ...] = ()
    parameters: Mapping[str, ParameterValue]
    priority: int = 0
    timeout_us: int = 0
    correlation_id: int | str = 0
    flags: int = 0
    binary_data_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputValue:
    """One output tensor on its way out; `data` None means that it lies in the client's own region."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: memoryview | None
    binary: bool


def repeated(names: Iterable[str]) -> Iterator[str]:
    """The names that were there before, as they come again; in one pass, since there may be very many."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def request_prefix(request_id: str) -> str:
    """What most texts of a refusal begin with."""
    return f"[request id: {request_id or '<id_unknown>'}] "
