"""Shapes of tensors that a model sees otherwise than who gives them, by `reshape` in its configuration or an ensemble.

With `reshape`, sizes that are free stay in their order; the elements are the same.
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


def agree(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether the same tensor can have both shapes, some sizes of which are free."""
    return len(first) == len(second) and all(-1 in pair or pair[0] == pair[1] for pair in zip(first, second))


def handed_over(shape: tuple[int, ...], batch: int, dims: tuple[int, ...], *, batched: bool) -> tuple[int, ...]:
    """The shape in which an ensemble passes a tensor on to who declares it as `dims`, in batches or not.

    `batch` is how many inferences it was made by, 0 where nothing is batched. A batch dimension of 1 comes and goes,
    unless the shape as it is will do.
    """
    if batched == (batch > 0):
        return shape
    fits = agree(dims, shape)
    if batched:
        return (1, *shape) if fits else shape
    return shape[1:] if batch == 1 and not fits else shape
