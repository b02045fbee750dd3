from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.tensors import NumberOverflowError, from_json, pack_elements, unpack_elements

INTEGERS = [name for name in TABLE if "INT" in name]


def pack(datatype: str, data: list[Any], count: int | None = None) -> bytes:
    return from_json(TABLE[datatype], data, len(data) if count is None else count)[0]


def refusal(datatype: str, data: list[Any], count: int) -> str:
    with pytest.raises(PyServeError) as caught:
        pack(datatype, data, count)
    assert caught.value.code is Code.INTERNAL
    return caught.value.message


@given(st.sampled_from(INTEGERS), st.data())
def test_integers_wrap_to_their_width(datatype: str, data: st.DataObject) -> None:
    low, high = (-(2**63), 2**63 - 1) if datatype[0] == "I" else (0, 2**64 - 1)
    values = data.draw(st.lists(st.integers(low, high), max_size=5))
    row = TABLE[datatype]
    expected = b"".join((value % 256**row.itemsize).to_bytes(row.itemsize, "little") for value in values)
    assert pack(datatype, values) == expected


@given(st.lists(st.floats(width=32) | st.integers(-(2**100), 2**100)))
def test_floats_are_rounded_through_double(values: list[float]) -> None:
    assert pack("FP64", values) == struct.pack(f"<{len(values)}d", *map(float, values))
    with np.errstate(over="ignore"):
        assert pack("FP32", values) == np.array(list(map(float, values)), "<f8").astype("<f4").tobytes()


def test_a_double_too_large_for_fp32_becomes_infinite_without_being_one() -> None:
    assert from_json(TABLE["FP32"], [1e39], 1) == (b"\0\0\x80\x7f", False)
    assert from_json(TABLE["FP32"], [float("inf")], 1) == (b"\0\0\x80\x7f", True)


def test_an_integer_beyond_doubles_is_told_to_the_caller() -> None:
    with pytest.raises(NumberOverflowError):
        pack("FP64", [10**400])


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[[1], [2]], [[3], [4]]], [1, [2, [3]], [], 4]])
def test_nesting_does_not_matter(data: list[Any]) -> None:
    assert pack("UINT8", data, 4) == b"\1\2\3\4"


def test_deep_and_uneven_nesting_is_walked_once() -> None:
    data: list[Any] = [1]
    for _ in range(90):
        data = [data, 1]
    assert pack("UINT8", data, 91) == b"\1" * 91


@pytest.mark.parametrize(
    ("datatype", "data", "count", "text"),
    [
        ("UINT8", [1, 2], 3, "Shape does not match true shape of 'data' field"),
        ("UINT8", [1, 2, "x"], 2, "Shape does not match true shape of 'data' field"),
        ("UINT8", ["x", 2, 3], 2, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        ("UINT64", [-1], 1, "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        ("INT64", [2**63], 1, "attempt to access JSON non-signed-integer as signed-integer"),
        ("INT8", [True], 1, "attempt to access JSON non-signed-integer as signed-integer"),
        ("BOOL", [1], 1, "attempt to access JSON non-boolean as boolean"),
        ("FP32", [True], 1, "attempt to access JSON non-number as double"),
        ("FP64", [{}], 1, "attempt to access JSON non-number as double"),
    ],
)
def test_refusals(datatype: str, data: list[Any], count: int, text: str) -> None:
    assert refusal(datatype, data, count) == f"Unable to parse 'data': {text}"


def test_strings() -> None:
    assert pack("BYTES", ["é", ["", "a"]], 3) == b"\2\0\0\0\xc3\xa9\0\0\0\0\1\0\0\0a"
    expected = "Unable to parse JSON bytes array: attempt to access JSON non-string as string"
    assert refusal("BYTES", ["a", 1], 2) == expected


@given(st.lists(st.binary(max_size=20)))
def test_elements_come_back(elements: list[bytes]) -> None:
    assert list(unpack_elements(memoryview(pack_elements(elements)))) == elements


@pytest.mark.parametrize("data", [b"\1\0\0", b"\2\0\0\0a", b"\0\0\0\0\xff\xff\xff\xff"])
def test_lengths_that_do_not_add_up(data: bytes) -> None:
    with pytest.raises(PyServeError):
        list(unpack_elements(memoryview(data)))
