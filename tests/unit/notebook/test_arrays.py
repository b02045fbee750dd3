from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.arrays import DATATYPES, as_input, dtype_of

NUMBERS = [name for name in DATATYPES if name not in ("BYTES", "BOOL")]


def _input(value: object, datatype: str) -> Any:
    return as_input(value, datatype, where="input 'X'")


@pytest.mark.parametrize("datatype", NUMBERS)
@pytest.mark.parametrize(("value", "shape"), [(1, ()), ([1, 2], (2,)), ([[1], [2]], (2, 1)), ([], (0,)), (True, ())])
def test_python_numbers_take_the_declared_datatype(datatype: str, value: object, shape: tuple[int, ...]) -> None:
    array = _input(value, datatype)
    assert (array.dtype, array.shape) == (dtype_of(datatype), shape)
    assert array.tolist() == np.array(value).tolist()


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        ([1.5], "INT32"),
        ([1.0], "INT32"),
        ([300], "UINT8"),
        ([-1], "UINT64"),
        (1 << 70, "INT64"),
        ([1e300], "FP32"),
        ([1e6], "FP16"),
        ([1, 2], "BOOL"),
        (["a"], "FP32"),
        ([None], "FP32"),
        ([[1], [1, 2]], "FP32"),
        ([1], "BYTES"),
    ],
)
def test_what_would_lose_something_is_refused(value: object, datatype: str) -> None:
    with pytest.raises(PyServeError, match="input 'X' can't become") as caught:
        _input(value, datatype)
    assert caught.value.code is Code.INVALID_ARG


def test_infinity_and_nan_are_numbers() -> None:
    assert np.isinf(_input([float("inf")], "FP16")).all()
    assert np.isnan(_input(float("nan"), "BF16").astype(np.float32))


def test_bfloat16_is_a_dtype_of_its_own() -> None:
    assert _input([1.5], "BF16").dtype == np.dtype(ml_dtypes.bfloat16)
    assert dtype_of("BF16") == np.dtype(ml_dtypes.bfloat16)


@pytest.mark.parametrize(
    ("have", "declared", "sent"),
    [
        ("float32", "FP32", "float32"),
        ("float64", "FP32", "float64"),
        ("float32", "FP64", "float64"),
        ("float16", "FP32", "float32"),
        ("int32", "INT64", "int64"),
        ("uint8", "INT16", "int16"),
        ("int64", "INT32", "int64"),
        ("int64", "FP64", "int64"),
        ("bool", "INT8", "bool"),
        ("int8", "BYTES", "int8"),
        ("int8", "", "int8"),
    ],
)
def test_an_array_keeps_its_dtype_unless_widening_is_exact(have: str, declared: str, sent: str) -> None:
    assert _input(np.ones(2, have), declared).dtype == np.dtype(sent)


def test_a_fitting_array_is_the_same_object() -> None:
    array = np.ones((2, 3), np.float32)
    assert _input(array, "FP32") is array


def test_foreign_byte_order_becomes_native() -> None:
    array = _input(np.array([1.5], ">f4"), "FP32")
    assert array.dtype == np.dtype("=f4")
    assert array.tolist() == [1.5]


@pytest.mark.parametrize(
    "value", [["a", b"b"], [["é"], ["x"]], "a", b"a", np.array(["a", "b"]), np.array([b"a"]), np.array(["a"], object)]
)
def test_text_becomes_an_object_array_of_bytes(value: object) -> None:
    array = _input(value, "BYTES")
    assert array.dtype == object
    assert all(type(item) is bytes for item in array.reshape(-1))
    assert array.shape == np.array(value, dtype=object).shape


@pytest.mark.parametrize("value", [None, object(), np.array([1, None], object)])
def test_what_is_neither_number_nor_text(value: object) -> None:
    with pytest.raises(PyServeError, match="can't become FP32: it holds something that is not a number"):
        _input(value, "FP32")
    with pytest.raises(PyServeError, match="can't become BYTES: element 0 is of type"):
        _input(value, "")


def test_names_of_dtypes_are_numpys_or_the_protocols() -> None:
    assert dtype_of("INT8") == np.int8
    assert dtype_of("float32") == np.float32
    assert dtype_of(np.float64) == np.float64
    assert dtype_of("BYTES").kind == "O"
