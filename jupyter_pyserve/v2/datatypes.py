"""The fourteen tensor datatypes of the protocol: name, wire code, element size, numpy type.

The numbers are the ones that stubs use, so that there is one table; this module adds the look-ups that clients and
front ends need. Knows nothing of messages.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pyserve_stub.wire.datatypes import ITEMSIZE, NAMES, NUMPY


@dataclass(frozen=True, slots=True, kw_only=True)
class Datatype:
    """One row of the table; `itemsize` is 0 and `numpy` empty for BYTES, whose elements vary in length."""

    name: str
    code: int
    itemsize: int
    numpy: str

    @property
    def is_bytes(self) -> bool:
        return self.itemsize == 0


TABLE: Mapping[str, Datatype] = {
    name: Datatype(name=name, code=code, itemsize=ITEMSIZE[code], numpy=NUMPY[code])
    for code, name in enumerate(NAMES)
    if name
}

_BY_NUMPY: Mapping[np.dtype[np.generic], str] = {
    np.dtype(row.numpy): row.name for row in TABLE.values() if row.numpy and row.name != "BF16"
}


def lookup(name: str) -> Datatype | None:
    """Finds a datatype by its protocol name; case matters, `STRING` and `TYPE_FP32` are not names."""
    return TABLE.get(name)


@functools.lru_cache(maxsize=256)
def from_numpy(dtype: np.dtype[np.generic]) -> Datatype | None:
    """Which datatype an array of this numpy type is sent as; None when the protocol has none (complex, dates)."""
    if dtype.kind in "OSU":
        return TABLE["BYTES"]
    if dtype.name == "bfloat16":
        return TABLE["BF16"]
    name = _BY_NUMPY.get(dtype.newbyteorder("<"))
    return None if name is None else TABLE[name]
