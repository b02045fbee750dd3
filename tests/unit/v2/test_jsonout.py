from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.v2 import jsonout
from jupyter_pyserve.v2.tensors import pack_elements


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (100.0, "100.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "10000000000000000.0"),
        (1.5e16, "15000000000000000.0"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (-1.5e21, "-1.5e21"),
        (1e-4, "0.0001"),
        (1e-5, "0.00001"),
        (-1.5e-6, "-0.0000015"),
        (1e-7, "1e-7"),
        (1.234e-7, "1.234e-7"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (0.10000000149011612, "0.10000000149011612"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert jsonout.number(value) == text
    assert jsonout.tensor("FP64", memoryview(np.array([1.5, value]).tobytes())) == f"[1.5,{text}]".encode()


@given(st.floats(allow_nan=False))
def test_numbers_come_back(value: float) -> None:
    assert float(jsonout.number(value)) == value


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_single_precision_is_widened(values: list[float]) -> None:
    data = np.array(values, "<f4")
    assert json.loads(jsonout.tensor("FP32", memoryview(data.tobytes()))) == data.astype(float).tolist()


def test_texts_beyond_ascii_stay_as_they_are() -> None:
    assert jsonout.dumps({"\u00e9": [1, "\U0001f600", "\udcff"]}) == '{"\u00e9":[1,"\U0001f600","'.encode() + b'\xff"]}'


def test_strings_as_rapidjson_escapes_them() -> None:
    assert jsonout.quote('\0\x1f\x7f"\\/\u2028\b\f\n\r\t\v') == (
        '"\\u0000\\u001F\x7f\\"\\\\/\u2028\\b\\f\\n\\r\\t\\u000B"'
    )


@given(st.text())
def test_strings_come_back(text: str) -> None:
    assert json.loads(jsonout.quote(text)) == text


def test_strings_that_are_not_utf8_are_sent_as_they_are() -> None:
    assert jsonout.tensor("BYTES", memoryview(pack_elements([b"\xff\xc3", b"a"]))) == b'["\xff\xc3","a"]'


@pytest.mark.parametrize(
    ("datatype", "data", "text"),
    [
        ("BOOL", b"\1\0\2", b"[true,false,true]"),
        ("UINT8", b"\xff\0", b"[255,0]"),
        ("INT8", b"\xff\0", b"[-1,0]"),
        ("UINT64", b"\xff" * 8, b"[18446744073709551615]"),
        ("INT32", b"", b"[]"),
        ("FP64", b"", b"[]"),
        ("BYTES", b"", b"[]"),
    ],
)
def test_tensors(datatype: str, data: bytes, text: bytes) -> None:
    assert jsonout.tensor(datatype, memoryview(data)) == text


def test_any_value_keeps_its_order() -> None:
    value = {"b": [1, 2.5, None, True, "é"], "a": {"x": (), "y": {}}, "big": 2**64}
    assert jsonout.dumps(value) == (
        '{"b":[1,2.5,null,true,"é"],"a":{"x":[],"y":{}},"big":18446744073709551616}'.encode()
    )
