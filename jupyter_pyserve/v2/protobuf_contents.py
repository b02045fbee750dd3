"""Tensor contents in the typed fields of a protobuf message, turned into the bytes that they are on the wire."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.tensors import pack_elements

#: Field -> the datatypes that it may hold; the last one stands in error texts when the input has another.
_FIELDS: Final = {
    "bool_contents": ("BOOL",),
    "int_contents": ("INT8", "INT16", "INT32"),
    "int64_contents": ("INT64",),
    "uint_contents": ("UINT8", "UINT16", "UINT32"),
    "uint64_contents": ("UINT64",),
    "fp32_contents": ("FP32",),
    "fp64_contents": ("FP64",),
    "bytes_contents": ("BYTES",),
}


def packed(tensor: Any, model: str) -> bytes:
    """The bytes of an input that has `contents`; no field at all is an empty tensor."""
    contents = tensor.contents
    filled = [(field, kinds) for field, kinds in _FIELDS.items() if len(getattr(contents, field))]
    about = f"unexpected explicit tensor data for input tensor '{tensor.name}' for model '{model}'"
    data = b""
    for index, (field, kinds) in enumerate(filled):
        if index:
            raise PyServeError(Code.INVALID_ARG, f"{about}, binary data was already supplied.")
        if tensor.datatype not in kinds:
            wanted = tensor.datatype if tensor.datatype in TABLE else "<invalid>"
            text = f"{about} of type '{kinds[-1]}', expected datatype '{wanted}'"
            raise PyServeError(Code.INVALID_ARG, text)
        data = _bytes(getattr(contents, field), tensor.datatype)
    return data


def _bytes(values: Any, datatype: str) -> bytes:
    if datatype == "BYTES":
        return pack_elements(values)
    # Narrow integers come as 32 bit ones and are cut down, as Triton does.
    wide = np.array(values, {"b": "?", "i": "<i8", "u": "<u8", "f": "<f8"}[np.dtype(TABLE[datatype].numpy).kind])
    return wide.astype(TABLE[datatype].numpy, copy=False).tobytes()
