"""What the elements of each datatype are in numpy, and how BYTES elements are laid out.

The wire form of a BYTES tensor is every element in C order, each after its length as four little-endian bytes. Owns no
tensors: arrays in, bytes out, and back.
"""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserve_stub.wire.datatypes import BYTES

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

#: Indexed by datatype code; None where numpy has no such type.
DTYPES: tuple[np.dtype[Any] | None, ...] = (
    None,
    *(np.dtype(name) for name in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")),
    np.dtype(object),
    None,
)

#: Equal dtypes hash alike, so that numpy's platform aliases (long, long long) are found too; other byte orders are not.
_CODES: dict[Any, int] = {dtype: code for code, dtype in enumerate(DTYPES) if dtype is not None}

_LENGTH = struct.Struct("<I")


def code_of(dtype: np.dtype[Any]) -> int:
    """The datatype code of a numpy dtype in native byte order; 0 when there is none."""
    code = _CODES.get(dtype)
    if code is None:
        return BYTES if dtype.kind == "S" else 0
    return code


def to_bytes(element: object) -> bytes:
    """A BYTES element of anything: bytes as they are, all else as its text."""
    return element if isinstance(element, bytes) else str(element).encode("utf-8")


def encode_elements(array: Array) -> bytes:
    """The wire form of an object or `S` array."""
    items: list[Any] = array.reshape(-1).tolist()
    if array.dtype.kind == "O":
        items = [item if type(item) is bytes else to_bytes(item) for item in items]
    lengths = np.fromiter(map(len, items), "<u4", len(items))
    content = b"".join(items)
    if len(items) > 1 and (lengths == lengths[0]).all():
        return _encode_even(lengths, content)
    prefixes = lengths.tobytes()
    starts = range(0, len(prefixes), _LENGTH.size)
    pairs = zip((prefixes[i : i + _LENGTH.size] for i in starts), items)
    return b"".join(itertools.chain.from_iterable(pairs))


def _encode_even(lengths: Array, content: bytes) -> bytes:
    count = len(lengths)
    size = len(content) // count
    table = np.empty((count, _LENGTH.size + size), np.uint8)
    table[:, : _LENGTH.size] = lengths.view(np.uint8).reshape(count, _LENGTH.size)
    table[:, _LENGTH.size :] = np.frombuffer(content, np.uint8).reshape(count, size)
    return table.tobytes()


def decode_elements(memory: bytes | bytearray | memoryview | Array) -> Array:
    """A 1-D object array of the bytes in `memory`; raises struct.error when the lengths don't fit."""
    data = bytes(memory)
    items = _decode_even(data)
    if items is None:
        items = _decode_uneven(data)
    elements = np.empty(len(items), dtype=object)
    elements[:] = items
    return elements


def _decode_even(data: bytes) -> list[bytes] | None:
    """All elements at once when they have one length, which is how fixed-size records arrive; None otherwise."""
    if len(data) < _LENGTH.size:
        return None
    size = _LENGTH.unpack_from(data)[0]
    stride = _LENGTH.size + size
    count, rest = divmod(len(data), stride)
    if rest:
        return None
    prefixes = np.ndarray((count,), "<u4", data, 0, (stride,))
    if not (prefixes == size).all():
        return None
    return [data[start : start + size] for start in range(_LENGTH.size, len(data) + 1, stride)]


def _decode_uneven(data: bytes) -> list[bytes]:
    items = []
    unpack = _LENGTH.unpack_from
    start, end = 0, len(data)
    while start < end:
        if end - start < _LENGTH.size:
            raise struct.error("Invalid bytes tensor data: incomplete length field")
        (size,) = unpack(data, start)
        start += _LENGTH.size
        if end - start < size:
            raise struct.error("Invalid bytes tensor data: string extends beyond buffer")
        items.append(data[start : start + size])
        start += size
    return items
