"""What the elements of each datatype are in numpy, and how BYTES elements are laid out.

The wire form of a BYTES tensor is every element in C order, each after its length as four little-endian bytes. Owns no
tensors: arrays in, bytes out, and back.
"""

from __future__ import annotations

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
#: What numpy has fixed-size types for, with room to spare.
_LARGEST_TYPE_NBYTES = 1 << 30


def code_of(dtype: np.dtype[Any]) -> int:
    """The datatype code of a numpy dtype in native byte order; 0 when there is none."""
    code = _CODES.get(dtype)
    if code is None:
        return BYTES if dtype.kind == "S" else 0
    return code


def to_bytes(element: object) -> bytes:
    """A BYTES element of anything: bytes as they are, all else as its text."""
    return element if isinstance(element, bytes) else str(element).encode("utf-8")


def encode_elements(array: Array) -> bytes | Array:
    """The wire form of an object or `S` array, as bytes or as an array of them."""
    items: list[Any] = array.reshape(-1).tolist()
    if array.dtype.kind == "O" and set(map(type, items)) != {bytes}:
        items = [to_bytes(item) for item in items]
    sizes = set(map(len, items))
    if len(items) > 1 and len(sizes) == 1 and max(sizes) < _LARGEST_TYPE_NBYTES:
        return _encode_even(items, sizes.pop())
    pieces: list[Any] = [b""] * (2 * len(items))
    pieces[::2] = np.fromiter(map(len, items), "<u4", len(items)).view("V4").tolist()
    pieces[1::2] = items
    return b"".join(pieces)


def _encode_even(items: list[bytes], size: int) -> Array:
    table = np.empty(len(items), [("length", "<u4"), ("element", f"S{size}")])
    table["length"] = size
    if size:
        table["element"] = items
    return table.view(np.uint8)


def decode_elements(memory: bytes | bytearray | memoryview | Array) -> Array:
    """A 1-D object array of the bytes in `memory`; raises struct.error when the lengths don't fit."""
    elements = _decode_even(memory)
    if elements is None:
        items = _decode_uneven(bytes(memory))
        elements = np.empty(len(items), dtype=object)
        elements[:] = items
    return elements


def _decode_even(memory: bytes | bytearray | memoryview | Array) -> Array | None:
    """All elements at once when they have one length, which is how fixed-size records arrive; None otherwise."""
    nbytes = len(memory)
    if nbytes <= _LENGTH.size:
        return None
    size: int = _LENGTH.unpack_from(memory)[0]  # type: ignore[arg-type]
    stride = _LENGTH.size + size
    count, rest = divmod(nbytes, stride)
    if rest or not 0 < size < _LARGEST_TYPE_NBYTES:
        return None
    prefixes = np.ndarray((count,), "<u4", memory, 0, (stride,))
    if not (prefixes == size).all():
        return None
    # Of the void type, whose elements become bytes as they are; of `S` they would lose their last zeros.
    return np.ndarray((count,), f"V{size}", memory, _LENGTH.size, (stride,)).astype(object)


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
