"""The datatypes of the v2 protocol, numbered as Triton numbers them (TRITONSERVER_DataType); index = wire code."""

from __future__ import annotations

NAMES = (
    "",
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
    "BF16",
)

#: Bytes of one element; 0 for BYTES, whose elements carry their own length.
ITEMSIZE = (0, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 0, 2)

#: numpy's spelling; "" for BYTES (decoded to objects) and the raw bits for BF16, which numpy does not have.
NUMPY = ("", "|b1", "|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", "", "<u2")

CODES = {name: code for code, name in enumerate(NAMES) if name}

BYTES = CODES["BYTES"]
BF16 = CODES["BF16"]
