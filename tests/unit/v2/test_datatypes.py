from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from pyserve_stub.wire.datatypes import CODES

from jupyter_pyserve.v2.datatypes import TABLE, from_numpy, lookup


def test_there_are_fourteen_with_the_stubs_codes() -> None:
    assert {row.name: row.code for row in TABLE.values()} == CODES
    assert len(TABLE) == 14


def test_sizes_are_numpys() -> None:
    for row in TABLE.values():
        assert row.is_bytes or np.dtype(row.numpy).itemsize == row.itemsize


@pytest.mark.parametrize("name", ["fp32", "STRING", "TYPE_FP32", "", "INVALID"])
def test_names_are_exact(name: str) -> None:
    assert lookup(name) is None


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("?", "BOOL"),
        ("u1", "UINT8"),
        (">i4", "INT32"),
        ("f2", "FP16"),
        ("f8", "FP64"),
        ("O", "BYTES"),
        ("S3", "BYTES"),
        ("U3", "BYTES"),
    ],
)
def test_from_numpy(dtype: str, name: str) -> None:
    found = from_numpy(np.dtype(dtype))
    assert found is not None
    assert found.name == name


def test_bfloat16() -> None:
    assert from_numpy(np.dtype(ml_dtypes.bfloat16)) is TABLE["BF16"]


@pytest.mark.parametrize("dtype", ["c8", "M8[s]", "m8[s]", "V4", "g"])
def test_types_that_the_protocol_lacks(dtype: str) -> None:
    assert from_numpy(np.dtype(dtype)) is None
