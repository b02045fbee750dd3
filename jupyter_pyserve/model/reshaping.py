"""Shapes of tensors that a model sees otherwise than its clients do (`reshape` in its configuration).

Sizes that are free stay in their order; the elements are the same.
"""

from __future__ import annotations

from math import prod


def reshaped(
    shape: tuple[int, ...], given: tuple[int, ...], wanted: tuple[int, ...], *, batched: bool
) -> tuple[int, ...] | None:
    """A shape of the form `given`, behind its batch dimension, in the form `wanted`; None if it is not of that form."""
    lead = 1 if batched else 0
    own = shape[lead:]
    if len(shape) < lead or len(own) != len(given):
        return None
    free = iter([size for size, dim in zip(own, given) if dim < 0])
    found = tuple([next(free, -1) if dim < 0 else dim for dim in wanted])
    return (*shape[:lead], *found) if prod(found) == prod(own) else None
