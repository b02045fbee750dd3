from __future__ import annotations

import numpy as np
import pytest
from pyserve_stub.wire import datatypes


def test_the_tables_are_of_one_length() -> None:
    assert len(datatypes.NAMES) == len(datatypes.ITEMSIZE) == len(datatypes.NUMPY) == 15


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("BOOL", 1),
        ("UINT8", 2),
        ("UINT16", 3),
        ("UINT32", 4),
        ("UINT64", 5),
        ("INT8", 6),
        ("INT16", 7),
        ("INT32", 8),
        ("INT64", 9),
        ("FP16", 10),
        ("FP32", 11),
        ("FP64", 12),
        ("BYTES", 13),
        ("BF16", 14),
    ],
)
def test_codes_are_those_of_triton(name: str, code: int) -> None:
    assert datatypes.CODES[name] == code
    assert datatypes.NAMES[code] == name


def test_no_name_stands_for_no_datatype() -> None:
    assert "" not in datatypes.CODES
    assert len(datatypes.CODES) == 14


@pytest.mark.parametrize("code", [code for code in range(1, 15) if code != datatypes.BYTES])
def test_sizes_are_those_of_numpy(code: int) -> None:
    assert np.dtype(datatypes.NUMPY[code]).itemsize == datatypes.ITEMSIZE[code]


def test_elements_of_bytes_have_no_fixed_size() -> None:
    assert datatypes.ITEMSIZE[datatypes.BYTES] == 0
    assert datatypes.NUMPY[datatypes.BYTES] == ""


def test_bf16_travels_as_its_bits() -> None:
    assert datatypes.NUMPY[datatypes.BF16] == "<u2"
