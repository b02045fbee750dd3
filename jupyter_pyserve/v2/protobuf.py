"""Inference requests as protobuf messages: taken apart by hand as far as equal requests repeat, the rest decoded once.

`split` separates what a client sends again and again from what it does not: the request's id, and the tensors' bytes.
Knows no model, and does not know how messages travel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.v2 import limits
from jupyter_pyserve.v2.datatypes import lookup
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef, request_prefix
from jupyter_pyserve.v2.protobuf_contents import packed
from jupyter_pyserve.v2.protobuf_parameters import read_classification, read_parameters, read_region
from jupyter_pyserve.v2.shapes import check_shape

# Keys of the fields on the wire: number and wire type.
_ID: Final = 0x1A
_RAW: Final = 0x3A
_OTHERS: Final = frozenset((0x0A, 0x12, 0x22, 0x2A, 0x32))


class Split(NamedTuple):
    """A request taken apart: `head` is the message without id and raw contents.

    The raw contents are `sizes`, the first of them `start` bytes into the message, the others behind it, each after
    its key and length.
    """

    head: bytes
    id: bytes
    sizes: tuple[int, ...]
    start: int


def split(message: bytes | memoryview) -> Split | None:
    """Takes a message apart that has its fields in their order, as writers have them; None for any other."""
    at, end = 0, len(message)
    id_from = id_to = 0
    identity = b""
    while at < end:
        key = message[at]
        if key == _RAW:
            break
        nbytes, start = _length(message, at + 1)
        at, stop = start + nbytes, at
        if at > end or (key not in _OTHERS and (key != _ID or id_to)):
            return None
        if key == _ID:
            id_from, id_to, identity = stop, at, bytes(message[start:at])
    head = bytes(message[:id_from]) + bytes(message[id_to:at])
    sizes: list[int] = []
    first = at
    while at < end:
        if message[at] != _RAW:
            return None
        nbytes, start = _length(message, at + 1)
        if not sizes:
            first = start
        at = start + nbytes
        sizes.append(nbytes)
    return Split(head, identity, tuple(sizes), first) if at == end else None


def _length(message: bytes | memoryview, at: int) -> tuple[int, int]:
    """A length and where the bytes start that it counts; one that no writer writes is longer than the message."""
    value = shift = 0
    for index in range(at, min(at + 10, len(message))):
        byte = message[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                break
            return value, index + 1
        shift += 7
    return len(message) + 1, at


def length_nbytes(size: int) -> int:
    """How many bytes a length takes on the wire."""
    return max(1, -(-size.bit_length() // 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """A decoded request; `version` is as the client gave it, "" for the highest.

    `raws` are its raw contents: sizes where they lie in the message one behind the other, else the contents themselves.
    """

    model: str
    version: str
    id: str
    message: Any
    raws: tuple[int | bytes, ...]


def decode(message: bytes | memoryview, taken: Split | None) -> Decoded:
    """Decodes a request, only its head if it could be taken apart."""
    from google.protobuf.message import DecodeError

    try:
        decoded = service_messages().ModelInferRequest.FromString(bytes(message) if taken is None else taken.head)
        identity = decoded.id if taken is None else taken.id.decode()
    except (DecodeError, UnicodeDecodeError):
        raise PyServeError(Code.INTERNAL, "the message cannot be read: it is no ModelInferRequest") from None
    raws = tuple(decoded.raw_input_contents) if taken is None else taken.sizes
    return Decoded(model=decoded.model_name, version=decoded.model_version, id=identity, message=decoded, raws=raws)


def read_infer(given: Decoded) -> tuple[InferRequest, bool]:
    """The request, and whether a client of a stream wants an empty final response.

    Offsets of inputs count from the first byte of the first raw tensor, as they lie in the message.
    """
    message = given.message
    prefix = request_prefix(given.id)
    limits.check_tensor_count("inputs", len(message.inputs))
    limits.check_tensor_count("outputs", len(message.outputs))
    parameters = read_parameters(message.parameters)
    _check_inputs(message, prefix)
    outputs = _outputs(message, prefix)
    raws = _raw_sources(given.raws)
    request = InferRequest(
        id=given.id,
        inputs=tuple([_input(tensor, given, raws) for tensor in message.inputs]),
        outputs=outputs,
        parameters=parameters.values,
        priority=parameters.priority,
        timeout_us=parameters.timeout_us,
        correlation_id=parameters.correlation_id,
        flags=parameters.flags,
        binary_data_output=True,
    )
    return request, parameters.empty_final


@dataclass(frozen=True, slots=True)
class _Source:
    nbytes: int
    offset: int = 0
    inline: bytes | None = None


def _raw_sources(raws: tuple[int | bytes, ...]) -> Iterator[_Source]:
    offset = 0
    for index, raw in enumerate(raws):
        if isinstance(raw, bytes):
            yield _Source(len(raw), inline=raw)
        else:
            offset += 1 + length_nbytes(raw) if index else 0
            yield _Source(raw, offset)
            offset += raw


def _check_inputs(message: Any, prefix: str) -> None:
    names: set[str] = set()
    for tensor in message.inputs:
        datatype = lookup(tensor.datatype)
        if datatype is not None:
            check_shape(tuple(tensor.shape), datatype, name=tensor.name, prefix=prefix)
        if tensor.name in names:
            raise _invalid(f"{prefix}input '{tensor.name}' already exists in request")
        names.add(tensor.name)


def _input(tensor: Any, given: Decoded, raws: Iterator[_Source]) -> InputRef:
    region = read_region(tensor.parameters, tensor.name)
    explicit = tensor.HasField("contents")
    about = f"for input tensor '{tensor.name}' for model '{given.model}'"
    source: _Source | None
    if region is not None:
        if explicit:
            raise _invalid(f"unexpected 'content' provided when using shared memory {about}")
        source = _Source(region.nbytes)
    elif explicit:
        if given.raws:
            what = "contents field must not be specified when using raw_input_contents for"
            raise _invalid(f"{what} '{tensor.name}' for model '{given.model}'")
        inline = packed(tensor, given.model)
        source = _Source(len(inline), inline=inline)
    else:
        source = next(raws, None)
        if source is None:
            raise _invalid(f"unable to find data {about} in request.")
    return InputRef(
        name=tensor.name,
        datatype=tensor.datatype if lookup(tensor.datatype) is not None else "<invalid>",
        shape=tuple(tensor.shape),
        offset=source.offset,
        nbytes=source.nbytes,
        inline=source.inline,
        region=region,
    )


def _outputs(message: Any, prefix: str) -> tuple[OutputRef, ...]:
    found: dict[str, OutputRef] = {}
    for output in message.outputs:
        region = read_region(output.parameters, output.name)
        classes = read_classification(output.parameters)
        if region is not None and classes:
            raise _invalid("output can't set both 'shared_memory_region' and 'classification'")
        if output.name in found:
            raise _invalid(f"{prefix}output '{output.name}' already exists in request")
        found[output.name] = OutputRef(name=output.name, binary=True, classification=classes, region=region)
    return tuple(found.values())


def _invalid(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)
