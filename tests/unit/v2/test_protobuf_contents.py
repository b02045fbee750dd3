from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.v2.protobuf_contents import packed

Contents = service_messages().InferTensorContents
Tensor = service_messages().ModelInferRequest.InferInputTensor


def tensor(datatype: str, **contents: Any) -> Any:
    return Tensor(name="IN", datatype=datatype, contents=Contents(**contents))


@pytest.mark.parametrize(
    ("datatype", "field", "given", "numpy", "expected"),
    [
        ("BOOL", "bool_contents", [True, False], "?", [True, False]),
        ("INT8", "int_contents", [1, -1, 200], "i1", [1, -1, -56]),
        ("INT16", "int_contents", [1, 40_000], "<i2", [1, -25_536]),
        ("INT32", "int_contents", [-5], "<i4", [-5]),
        ("INT64", "int64_contents", [-(2**63)], "<i8", [-(2**63)]),
        ("UINT8", "uint_contents", [255, 256], "u1", [255, 0]),
        ("UINT16", "uint_contents", [65_535], "<u2", [65_535]),
        ("UINT32", "uint_contents", [2**32 - 1], "<u4", [2**32 - 1]),
        ("UINT64", "uint64_contents", [2**64 - 1], "<u8", [2**64 - 1]),
        ("FP32", "fp32_contents", [0.5, np.inf], "<f4", [0.5, np.inf]),
        ("FP64", "fp64_contents", [0.1], "<f8", [0.1]),
    ],
)
def test_each_datatype(datatype: str, field: str, given: list[Any], numpy: str, expected: list[Any]) -> None:
    assert np.frombuffer(packed(tensor(datatype, **{field: given}), "m"), numpy).tolist() == expected


def test_strings_get_their_lengths() -> None:
    assert packed(tensor("BYTES", bytes_contents=[b"ab", b""]), "m") == b"\x02\0\0\0ab\0\0\0\0"


def test_no_contents_are_an_empty_tensor() -> None:
    assert packed(tensor("FP32"), "m") == b""


@pytest.mark.parametrize(
    ("given", "ending"),
    [
        (tensor("FP32", int_contents=[1]), "of type 'INT32', expected datatype 'FP32'"),
        (tensor("INT32", uint_contents=[1]), "of type 'UINT32', expected datatype 'INT32'"),
        (tensor("FP16", fp32_contents=[1]), "of type 'FP32', expected datatype 'FP16'"),
        (tensor("nope", fp32_contents=[1]), "of type 'FP32', expected datatype '<invalid>'"),
    ],
)
def test_the_wrong_field(given: Any, ending: str) -> None:
    with pytest.raises(PyServeError) as refused:
        packed(given, "m")
    assert refused.value.code is Code.INVALID_ARG
    assert refused.value.message == f"unexpected explicit tensor data for input tensor 'IN' for model 'm' {ending}"


def test_two_fields() -> None:
    with pytest.raises(PyServeError, match=r"for model 'm', binary data was already supplied\.$"):
        packed(tensor("FP32", fp32_contents=[1], fp64_contents=[1]), "m")
