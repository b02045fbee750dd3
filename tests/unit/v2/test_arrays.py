from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import arrays
from jupyter_pyserve.v2.datatypes import TABLE

PLAIN = [row.numpy for row in TABLE.values() if row.numpy and row.name != "BF16"]
ARRAYS = st.sampled_from(PLAIN).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, min_side=0))
)


@given(ARRAYS)
def test_arrays_come_back(array: arrays.Array) -> None:
    datatype = arrays.datatype_of(array)
    again = arrays.from_bytes(arrays.to_bytes(array, datatype), datatype, array.shape)
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert again.tobytes() == array.tobytes()


def test_contiguous_arrays_are_not_copied() -> None:
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    view = arrays.to_bytes(array, TABLE["FP32"])
    array[0, 0] = 7
    assert arrays.from_bytes(view, TABLE["FP32"], (2, 3))[0, 0] == 7


def test_other_orders_are_put_right() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert arrays.to_bytes(array, TABLE["INT32"]).tobytes() == np.array([0, 3, 1, 4, 2, 5], "<i4").tobytes()


def test_elements_of_strings() -> None:
    array = np.array([b"a", "é", 5, bytearray(b"b")], dtype=object)
    data = arrays.to_bytes(array, TABLE["BYTES"])
    assert arrays.from_bytes(data, TABLE["BYTES"], (2, 2)).tolist() == [[b"a", "é".encode()], [b"5", b"b"]]
    assert arrays.datatype_of(np.array(["a"])) is TABLE["BYTES"]


def test_bfloat16_is_an_array_of_its_own() -> None:
    array = np.array([1.5, -2], dtype=ml_dtypes.bfloat16)
    data = arrays.to_bytes(array, TABLE["BF16"])
    assert data.tobytes() == b"\xc0\x3f\x00\xc0"
    assert arrays.from_bytes(data, TABLE["BF16"], (2,)).tolist() == [1.5, -2]


def test_bfloat16_without_its_package_is_raw_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    arrays._bfloat16.cache_clear()
    try:
        assert arrays.from_bytes(memoryview(b"\xc0\x3f"), TABLE["BF16"], (1,)).dtype == np.uint16
    finally:
        arrays._bfloat16.cache_clear()
    assert arrays.to_bytes(np.array([0x3FC0], np.uint16), TABLE["BF16"]).tobytes() == b"\xc0\x3f"


def test_types_that_the_protocol_lacks() -> None:
    with pytest.raises(PyServeError) as caught:
        arrays.datatype_of(np.zeros(1, np.complex64))
    assert caught.value.code is Code.INVALID_ARG


@pytest.mark.parametrize(
    ("datatype", "values", "shape"),
    [
        ("FP32", [1, "x"], (2,)),
        ("FP32", [1], (2,)),
        ("BYTES", [1], (1,)),
        ("INT8", [[1], [1, 2]], (3,)),
        ("UINT8", [2**70], (1,)),
    ],
)
def test_values_that_are_no_tensor(datatype: str, values: list[Any], shape: tuple[int, ...]) -> None:
    with pytest.raises(PyServeError) as caught:
        arrays.from_values(values, TABLE[datatype], shape)
    assert caught.value.code is Code.INTERNAL


def test_bytes_that_do_not_fill_the_shape() -> None:
    for datatype, data in (("FP32", b"\0" * 5), ("BYTES", b"\0" * 4)):
        with pytest.raises(PyServeError):
            arrays.from_bytes(memoryview(data), TABLE[datatype], (2,))
