"""Tensor contents: JSON arrays to bytes, and BYTES tensors between elements and their length-prefixed form.

Sizes are Python integers, compared before anything is allocated. Knows nothing of requests or models.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import members
from jupyter_pyserve.v2.datatypes import Datatype
from jupyter_pyserve.v2.rapidjson import encode

_WRONG_COUNT: Final = "Shape does not match true shape of 'data' field"
_LENGTH: Final = struct.Struct("<I")


class NumberOverflowError(Exception):
    """A JSON number was too large for a double, or became infinite: the text itself has to be looked at."""


def from_json(datatype: Datatype, data: list[Any], count: int) -> tuple[bytes, bool]:
    """Serialises flat or nested JSON data of `count` elements; says too whether an infinity is among them."""
    flat = _flatten(data)
    if datatype.is_bytes:
        return _pack_strings(flat), False
    kinds, reason = _EXPECTED[datatype.name]
    wrong = _first_not_of(flat, kinds)
    if wrong is not None and wrong < count:
        members.fail("Unable to parse 'data'", reason)
    if len(flat) != count:
        members.fail("Unable to parse 'data'", _WRONG_COUNT)
    if datatype.name.startswith("FP"):
        return _floats(flat, datatype)
    return _integers(flat, datatype, reason), False


def pack_elements(elements: Iterable[bytes]) -> bytes:
    """Joins elements of a BYTES tensor, each behind its length."""
    pack = _LENGTH.pack
    return b"".join(chain.from_iterable((pack(len(element)), element) for element in elements))


def unpack_elements(view: memoryview) -> Iterator[bytes]:
    """Splits a BYTES tensor; raises INTERNAL where the lengths do not add up."""
    at, end = 0, view.nbytes
    while at < end:
        start = at + 4
        stop = start + _LENGTH.unpack_from(view, at)[0] if start <= end else end + 1
        if stop > end:
            raise PyServeError(Code.INTERNAL, "malformed BYTES tensor: an element reaches beyond its end")
        yield bytes(view[start:stop])
        at = stop


_BOOLS: Final = frozenset({bool})
_INTS: Final = frozenset({int})
_NUMBERS: Final = frozenset({int, float})
_EXPECTED: Final = {
    "BOOL": (_BOOLS, members.NOT_BOOL),
    **{f"UINT{bits}": (_INTS, members.NOT_UINT) for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": (_INTS, members.NOT_INT) for bits in (8, 16, 32, 64)},
    "FP32": (_NUMBERS, members.NOT_NUMBER),
    "FP64": (_NUMBERS, members.NOT_NUMBER),
}


def _flatten(data: list[Any]) -> list[Any]:
    """Undoes nesting, which may be uneven: only the number of elements has to fit."""
    while True:
        kinds = set(map(type, data))
        if list not in kinds:
            return data
        if len(kinds) > 1:
            return _walk(data)
        data = list(chain.from_iterable(data))


def _walk(data: list[Any]) -> list[Any]:
    flat: list[Any] = []
    levels = [iter(data)]
    while levels:
        for item in levels[-1]:
            if type(item) is list:
                levels.append(iter(item))
                break
            flat.append(item)
        else:
            levels.pop()
    return flat


def _first_not_of(flat: list[Any], kinds: frozenset[type]) -> int | None:
    if kinds.issuperset(map(type, flat)):
        return None
    return next(index for index, value in enumerate(flat) if type(value) not in kinds)


def _pack_strings(flat: list[Any]) -> bytes:
    if _first_not_of(flat, frozenset({str})) is not None:
        members.fail("Unable to parse JSON bytes array", members.NOT_STRING)
    return pack_elements(map(encode, flat))


def _integers(flat: list[Any], datatype: Datatype, reason: str) -> bytes:
    """Whole numbers, cut down to the type's width as Triton does: 256 becomes UINT8 0."""
    if datatype.name == "BOOL":
        return bytes(flat)
    signed = datatype.name[0] == "I"
    low, high = (members.MIN_INT64, members.MAX_INT64) if signed else (0, members.MAX_UINT64)
    if flat and not (low <= min(flat) and max(flat) <= high):
        members.fail("Unable to parse 'data'", reason)
    wide = np.array(flat, "<i8" if signed else "<u8")
    return wide.astype(datatype.numpy, copy=False).tobytes()


def _floats(flat: list[Any], datatype: Datatype) -> tuple[bytes, bool]:
    try:
        wide = np.array(flat, "<f8")
    except OverflowError as error:
        raise NumberOverflowError from error
    infinite = bool(np.isinf(wide).any())
    with np.errstate(over="ignore"):
        return wide.astype(datatype.numpy, copy=False).tobytes(), infinite
