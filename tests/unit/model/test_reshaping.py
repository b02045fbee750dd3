from __future__ import annotations

import pytest

from jupyter_pyserve.model.reshaping import handed_over, reshaped

Shape = tuple[int, ...]

#: shape, the form that it has, the form that is wanted, batched, result
TABLE: dict[str, tuple[Shape, Shape, Shape, bool, Shape | None]] = {
    "fixed": ((4, 2), (4, 2), (2, 2, 2), False, (2, 2, 2)),
    "batch": ((7, 4), (4,), (2, 2), True, (7, 2, 2)),
    "no elements": ((0, 4), (4,), (2, 2), True, (0, 2, 2)),
    "scalar": ((7, 1), (1,), (), True, (7,)),
    "from a scalar": ((7,), (), (1,), True, (7, 1)),
    "free": ((3, 4, 9, 2), (4, -1, 2), (2, 2, -1, 1, 2), True, (3, 2, 2, 9, 1, 2)),
    "several free": ((5, 6), (-1, -1), (-1, 1, -1), False, (5, 1, 6)),
    "free and empty": ((4, 0), (4, -1), (2, 2, -1), False, (2, 2, 0)),
    "of another rank": ((1, 24), (2, 2, -1), (4, -1), True, None),
    "of another size": ((3, 5), (3, 4), (12,), False, None),
    "no batch dimension": ((), (), (1,), True, None),
}


@pytest.mark.parametrize("name", TABLE)
def test_reshaped(name: str) -> None:
    shape, given, wanted, batched, result = TABLE[name]
    assert reshaped(shape, given, wanted, batched=batched) == result


#: shape, inferences that made it, the form that its reader declares, whether that is batched, result
HANDED: dict[str, tuple[Shape, int, Shape, bool, Shape]] = {
    "both batched": ((2, 3), 2, (-1,), True, (2, 3)),
    "neither": ((3,), 0, (-1,), False, (3,)),
    "a batch of one is taken off": ((1, 3), 1, (-1,), False, (3,)),
    "unless it fits as it is": ((1, 3), 1, (-1, -1), False, (1, 3)),
    "a larger one stays, and is refused by the reader": ((2, 3), 2, (-1,), False, (2, 3)),
    "one is put before": ((3,), 0, (3,), True, (1, 3)),
    "unless it is there": ((2, 3), 0, (3,), True, (2, 3)),
}


@pytest.mark.parametrize("name", HANDED)
def test_handed_over(name: str) -> None:
    shape, batch, dims, batched, result = HANDED[name]
    assert handed_over(shape, batch, dims, batched=batched) == result
