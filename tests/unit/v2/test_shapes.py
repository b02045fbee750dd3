from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.shapes import MAX_INT64, check_shape, dims_text


def test_text() -> None:
    assert dims_text((-1, 2)) == "[-1,2]"
    assert dims_text(()) == "[]"


@given(
    st.lists(st.sampled_from([0, 1, 3, 2**20, 2**31, 2**32, 2**60, 2**63 - 1, 2**63, 2**64 - 1]), max_size=4),
    st.sampled_from(sorted(TABLE)),
)
def test_passes_what_64_bits_hold(shape: list[int], datatype: str) -> None:
    row = TABLE[datatype]
    count = math.prod(shape)
    fits = max(shape, default=0) <= MAX_INT64 and count <= MAX_INT64 and count * row.itemsize <= MAX_INT64
    if fits:
        check_shape(tuple(shape), row, name="I", prefix="")
    else:
        with pytest.raises(PyServeError):
            check_shape(tuple(shape), row, name="I", prefix="")


def test_nor_are_they_behind_a_negative_one() -> None:
    check_shape((-2, *[2] * 2_000_000), TABLE["INT8"], name="X", prefix="")


@pytest.mark.parametrize(("last", "refused"), [(1, True), (0, False)])
def test_a_million_sizes_are_not_multiplied_to_the_end(last: int, refused: bool) -> None:
    shape = (*[2**62] * 1_000_000, last)
    if refused:
        with pytest.raises(PyServeError, match="exceed maximum size"):
            check_shape(shape, TABLE["INT8"], name="X", prefix="")
    else:
        check_shape(shape, TABLE["INT8"], name="X", prefix="")
