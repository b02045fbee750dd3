"""What a sequence batcher adds to requests: control tensors, and requests that only fill a slot.

Neither comes through shared memory: a control is one element, and what fills a slot is zeros.
"""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np

from .elements import DTYPES
from .tensors import Tensor
from .wire.datatypes import BYTES

#: Names that no output has.
NO_OUTPUTS = frozenset(("",))

_BF16_NBYTES = 2
_EMPTY_STRING_NBYTES = 4


class Control:
    """A control tensor, as it stands in the facts of requests; each request gets one of its own, to do as it likes."""

    __slots__ = ("_code", "_data", "_name", "_shape")

    def __init__(self, name: str, code: int, shape: Sequence[int], data: str) -> None:
        self._name = name
        self._code = code
        self._shape = tuple(shape)
        self._data = bytes.fromhex(data)

    def tensor(self) -> Tensor:
        """The tensor for one request."""
        memory = np.frombuffer(bytearray(self._data), np.uint8)
        return Tensor._from_memory(self._name, self._code, self._shape, memory, True)


def zeros(name: str, code: int, shape: tuple[int, ...]) -> Tensor:
    """A tensor of zeros, or of empty strings. Its memory is not there before it is read."""
    return Tensor._from_memory(name, code, shape, np.zeros(math.prod(shape) * itemsize(code), np.uint8), True)


def itemsize(code: int) -> int:
    """Bytes of an element of zeros; strings are empty ones."""
    dtype = DTYPES[code]
    if dtype is None:
        return _BF16_NBYTES
    return _EMPTY_STRING_NBYTES if code == BYTES else dtype.itemsize
