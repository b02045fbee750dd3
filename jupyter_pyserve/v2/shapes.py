"""Arithmetic on shapes and how they are written in error texts.

Python integers throughout: nothing wraps, and nothing is allocated before a shape has passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import Datatype

MAX_INT64: Final = 2**63 - 1


def dims_text(dims: Iterable[int]) -> str:
    """`[1,-1]`, without spaces."""
    return f"[{','.join(map(str, dims))}]"


def check_shape(shape: tuple[int, ...], datatype: Datatype, *, name: str, prefix: str) -> None:
    """Refuses shapes whose dimensions, element count or size in bytes do not fit 64 bits."""
    start = f"{prefix}invalid shape for input '{name}': shape {dims_text(shape)}" if _is_large(shape) else ""
    if not start:
        return
    if any(size > MAX_INT64 for size in shape):
        raise PyServeError(Code.INVALID_ARG, f"{start} contains one or more invalid dimensions")
    count = _count(shape)
    if count > MAX_INT64:
        reason = f"causes total element count to exceed maximum size of {MAX_INT64}"
        raise PyServeError(Code.INVALID_ARG, f"{start} {reason}")
    if count * datatype.itemsize > MAX_INT64:
        raise PyServeError(Code.INVALID_ARG, f"{prefix}byte size overflow for input '{name}'")


def _is_large(shape: tuple[int, ...]) -> bool:
    # Eight bytes an element at most, so far below the limit nothing can overflow.
    return max(shape, default=0) > MAX_INT64 or _count(shape) > MAX_INT64 >> 3


def _count(shape: tuple[int, ...]) -> int:
    """How many elements; of what is too large only that it is: the product of a million sizes would take hours."""
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if abs(count) > MAX_INT64:
            break
    return count
