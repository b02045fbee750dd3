"""Between numpy arrays and the bytes of tensors, for whoever holds arrays: our clients and the lane.

Views wherever the bytes are an array already; only BYTES tensors and foreign byte orders are copied.
"""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any, TypeAlias

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE, Datatype, from_numpy
from jupyter_pyserve.v2.tensors import pack_elements, unpack_elements

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def datatype_of(array: Array) -> Datatype:
    """What an array is sent as; INVALID_ARG for element types that the protocol does not have."""
    datatype = from_numpy(array.dtype)
    if datatype is None:
        raise PyServeError(Code.INVALID_ARG, f"arrays of type {array.dtype} have no datatype in the v2 protocol")
    return datatype


def to_bytes(array: Array, datatype: Datatype) -> memoryview:
    """The content of an array in wire form; shares the array's memory if that is in order."""
    if datatype.is_bytes:
        return memoryview(pack_elements([_element(item) for item in array.ravel().tolist()]))
    if datatype.name == "BF16":
        plain = np.asarray(array, order="C").view("<u2")
    else:
        plain = np.asarray(array, dtype=datatype.numpy, order="C")
    return plain.reshape(-1).view(np.uint8).data


def from_bytes(data: memoryview, datatype: Datatype, shape: tuple[int, ...]) -> Array:
    """The array that a tensor's bytes are; a view of them except for BYTES, which becomes an array of objects."""
    count = math.prod(shape)
    if datatype.is_bytes:
        return _objects(list(unpack_elements(data)), shape)
    if data.nbytes != count * datatype.itemsize:
        sizes = f"{count * datatype.itemsize} bytes, got {data.nbytes}"
        raise PyServeError(Code.INTERNAL, f"a {datatype.name} tensor of shape {list(shape)} takes {sizes}")
    return np.frombuffer(data, numpy_dtype(datatype)).reshape(shape)


def from_values(values: list[Any], datatype: Datatype, shape: tuple[int, ...]) -> Array:
    """The array that a tensor's JSON data is."""
    try:
        if datatype.is_bytes:
            return _objects([value.encode("utf-8", "surrogateescape") for value in values], shape)
        return np.array(values, numpy_dtype(datatype)).reshape(shape)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise PyServeError(Code.INTERNAL, f"malformed {datatype.name} data of shape {list(shape)}") from error


def numpy_dtype(datatype: Datatype) -> np.dtype[Any]:
    """numpy's type for the elements; BF16 has one only where ml_dtypes is installed and is its raw bits otherwise."""
    return _bfloat16() if datatype.name == "BF16" else np.dtype(datatype.numpy or object)


@functools.cache
def _bfloat16() -> np.dtype[Any]:
    try:
        module = importlib.import_module("ml_dtypes")
    except ModuleNotFoundError:
        return np.dtype(TABLE["BF16"].numpy)
    dtype: np.dtype[Any] = np.dtype(module.bfloat16)
    return dtype


def _objects(elements: list[bytes], shape: tuple[int, ...]) -> Array:
    if len(elements) != math.prod(shape):
        raise PyServeError(Code.INTERNAL, f"a tensor of shape {list(shape)} does not have {len(elements)} elements")
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


def _element(item: object) -> bytes:
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    return str(item).encode("utf-8", "surrogateescape")
