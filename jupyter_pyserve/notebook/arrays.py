"""What a user passes as an input, made into the array that the model declares, and never losing anything on the way.

Python numbers, strings and lists take the declared datatype; an array keeps its own unless widening it is exact, so
that a float64 array for an FP32 input is refused by the server and not rounded here. Knows datatypes, not models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from jupyter_pyserve.errors import Code, PyServeError

Array = npt.NDArray[Any]
DTypeLike = npt.DTypeLike

_NUMPY_NAMES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    "BYTES": "object",
}
DATATYPES = (*_NUMPY_NAMES, "BF16")
_PYTHON_VALUES = (bool, int, float, str, bytes, list, tuple, np.generic)


def dtype_of(datatype: DTypeLike | str) -> np.dtype[Any]:
    """The numpy dtype of a v2 datatype name; anything else is numpy's to understand."""
    if isinstance(datatype, str):
        if datatype.upper() in ("BF16", "BFLOAT16"):
            return _bfloat16()
        datatype = _NUMPY_NAMES.get(datatype, datatype)
    return np.dtype(datatype)


def as_input(value: object, datatype: str, *, where: str) -> Array:
    """`value` as an array for an input declared as `datatype`; `where` names the input in an error."""
    if isinstance(value, _PYTHON_VALUES):
        return _from_python(value, datatype, where)
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        return _text_array(array, where, datatype)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if datatype in DATATYPES and _widens_exactly(array.dtype, dtype_of(datatype)):
        return array.astype(dtype_of(datatype))
    return array


def _from_python(value: object, datatype: str, where: str) -> Array:
    if datatype == "BYTES":
        return _text_array(np.array(value, dtype=object), where)
    if datatype not in DATATYPES:
        return np.asarray(value)
    try:
        natural = np.asarray(value)
    except ValueError as error:
        raise _unfit(where, datatype, "its rows differ in length") from error
    want = dtype_of(datatype)
    if natural.dtype == want:
        return natural
    _check_kind(natural, want, datatype, where)
    with np.errstate(over="ignore", invalid="ignore"):
        array = natural.astype(want)
    _check_range(natural, array, datatype, where)
    return array


def _check_kind(natural: Array, want: np.dtype[Any], datatype: str, where: str) -> None:
    if natural.size == 0:
        return  # an empty list has numpy's default dtype, which says nothing
    if natural.dtype.kind not in "biuf" and natural.dtype != _bfloat16_or_none():
        raise _unfit(where, datatype, "it holds something that is not a number")
    if want.kind in "iu" and natural.dtype.kind == "f":
        raise _unfit(where, datatype, "it holds numbers with a fraction")
    if want.kind == "b" and natural.dtype.kind != "b":
        raise _unfit(where, datatype, "it holds something other than True and False")


def _check_range(natural: Array, array: Array, datatype: str, where: str) -> None:
    if natural.size == 0:
        return
    if array.dtype.kind in "iu" and not bool(np.all(array == natural)):
        raise _unfit(where, datatype, "a number in it is out of range")
    if natural.dtype.kind in "iuf" and array.dtype.kind not in "iub":
        overflown = np.isinf(array.astype(np.float64)) & np.isfinite(natural)
        if bool(np.any(overflown)):
            raise _unfit(where, datatype, "a number in it is out of range")


def _text_array(array: Array, where: str, declared: str = "BYTES") -> Array:
    """BYTES: an object array of `bytes`, text encoded as UTF-8. Where numbers are wanted, only the server says so."""
    out = np.empty(array.shape, dtype=object)
    for index, item in enumerate(array.reshape(-1)):
        if isinstance(item, str):
            out.flat[index] = item.encode()
        elif isinstance(item, (bytes, bytearray, memoryview)):
            out.flat[index] = bytes(item)
        elif declared in DATATYPES and declared != "BYTES":
            raise _unfit(where, declared, "it holds something that is not a number")
        else:
            raise _unfit(where, "BYTES", f"element {index} is of type {type(item).__name__}, not str or bytes")
    return out


def _widens_exactly(have: np.dtype[Any], want: np.dtype[Any]) -> bool:
    if have == want or {have.kind, want.kind} - set("iuf"):
        return False
    same_family = (have.kind == "f") == (want.kind == "f")
    return same_family and np.can_cast(have, want, "safe")


def _unfit(where: str, datatype: str, why: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, f"{where} can't become {datatype}: {why}")


def _bfloat16() -> np.dtype[Any]:
    found = _bfloat16_or_none()
    if found is None:
        raise PyServeError(Code.UNSUPPORTED, "BF16 arrays need the package ml_dtypes: pip install ml_dtypes")
    return found


def _bfloat16_or_none() -> np.dtype[Any] | None:
    try:
        import ml_dtypes
    except ImportError:
        return None
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found
