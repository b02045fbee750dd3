from __future__ import annotations

import pytest

from jupyter_pyserve.model.reshaping import reshaped

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
