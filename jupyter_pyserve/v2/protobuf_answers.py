"""Inference responses as protobuf messages, written by hand: everything but the tensors' bytes is remembered.

Pieces are bytes and views; joining them, or sending them one by one, is the caller's.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.layout import TensorMeta

_MAX_LAYOUTS: Final = 64
_DOUBLE: Final = struct.Struct("<d")


def varint(value: int) -> bytes:
    """A length, or a number below 2**64, on the wire."""
    if value < 0x80:
        return bytes((value,))
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def field(key: int, data: bytes) -> bytes:
    """A field with a length; `key` is its number and wire type."""
    return b"%c%b%b" % (key, varint(len(data)), data)


def text(key: int, value: str) -> bytes:
    """A text field; the empty text is not written."""
    return field(key, value.encode("utf-8", "surrogateescape")) if value else b""


def parameter(name: str, value: object) -> bytes:
    """An entry of a response's parameters."""
    if isinstance(value, bool):
        choice = b"\x08" + varint(value)
    elif isinstance(value, int):
        choice = b"\x10" + varint(value & (2**64 - 1))
    elif isinstance(value, float):
        choice = b"\x21" + _DOUBLE.pack(value)
    else:
        choice = field(0x1A, str(value).encode("utf-8", "surrogateescape"))
    return field(0x22, field(0x0A, name.encode("utf-8", "surrogateescape")) + field(0x12, choice))


FINAL: Final = {final: parameter("triton_final_response", final) for final in (True, False)}


class _Known(NamedTuple):
    """A layout's outputs; `heads` stand before the tensors' bytes where their number follows from the shapes."""

    outputs: bytes
    heads: tuple[bytes, ...]
    sizes: tuple[int, ...]


class Answers:
    """Writes the responses of one model version."""

    __slots__ = ("_known", "_start")

    def __init__(self, model_name: str, version: str) -> None:
        self._start = text(0x0A, model_name) + text(0x12, version)
        self._known: dict[bytes, _Known] = {}

    def pieces(
        self,
        request_id: bytes,
        layout: bytes,
        tensors: Sequence[TensorMeta],
        views: Sequence[memoryview],
        parameters: bytes = b"",
    ) -> list[bytes | memoryview]:
        """A ModelInferResponse; `request_id` and `parameters` are fields already."""
        sizes = tuple([view.nbytes for view in views])
        known = self._known.get(layout)
        if known is None or known.sizes != sizes:
            known = self._remember(layout, tensors, sizes)
        start = self._start + request_id + parameters + known.outputs
        if len(views) == 1:
            return [start + known.heads[0], views[0]]
        pieces: list[bytes | memoryview] = [start]
        for head, view in zip(known.heads, views):
            pieces += (head, view)
        return pieces

    def _remember(self, layout: bytes, tensors: Sequence[TensorMeta], sizes: tuple[int, ...]) -> _Known:
        outputs = b"".join([field(0x2A, _output(meta)) for meta in tensors])
        known = _Known(outputs, tuple([b"\x32" + varint(size) for size in sizes]), sizes)
        if len(self._known) >= _MAX_LAYOUTS:
            self._known.clear()
        self._known[layout] = known
        return known


def _output(meta: TensorMeta) -> bytes:
    shape = b"".join([varint(size) for size in meta.shape])
    return text(0x0A, meta.name) + text(0x12, NAMES[meta.code]) + (field(0x1A, shape) if shape else b"")


def parameter_fields(parameters: bytes) -> bytes:
    """All parameters of a response, which come as a JSON object."""
    found = json.loads(parameters)
    return b"".join([parameter(name, value) for name, value in found.items()])


def request_id_field(request_id: bytes) -> bytes:
    """The id of the request, as it came."""
    return field(0x1A, request_id) if request_id else b""


def bare_response(
    model_name: str = "", version: str = "", id_field: bytes = b"", *, request_id: bytes = b"", own: bytes = b""
) -> bytes:
    """A ModelInferResponse without outputs."""
    return text(0x0A, model_name) + text(0x12, version) + (id_field or request_id_field(request_id)) + own


def stream_head(nbytes: int) -> bytes:
    """What stands before a ModelInferResponse of `nbytes` in a ModelStreamInferResponse."""
    return b"\x12" + varint(nbytes)


def stream_response(infer_response: bytes) -> bytes:
    """A ModelStreamInferResponse."""
    return field(0x12, infer_response)


def stream_error(message: str, infer_response: bytes) -> bytes:
    """A ModelStreamInferResponse that reports a failure; the response says only whose it is."""
    return text(0x0A, message) + stream_response(infer_response)
