"""DLPack capsules made and consumed through ctypes, without a third-party package.

An exported capsule keeps its owner alive until the capsule or its consumer dies; an imported one is borrowed until the
last array over it dies. Knows memory, shapes and datatype codes; no tensors.
"""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np

from pyserve_stub import cuda
from pyserve_stub.vocabulary import CAST_FAILED, TritonModelException
from pyserve_stub.wire.datatypes import CODES, ITEMSIZE

if TYPE_CHECKING:
    from pyserve_stub.elements import Array

CPU, CUDA, PINNED = 1, 2, 3
CPU_DEVICE = (CPU, 0)

_NAME = b"dltensor"
_USED_NAME = b"used_dltensor"
_INT, _UINT, _FLOAT, _BFLOAT, _BOOL = 0, 1, 2, 4, 6

#: DLPack's (type code, bits) by datatype code.
_KINDS = {"INT": _INT, "UINT": _UINT, "FP": _FLOAT, "BF": _BFLOAT, "BOOL": _BOOL}
_EXPORTED: dict[int, tuple[int, int]] = {
    code: (_KINDS[name.rstrip("0123456789")], ITEMSIZE[code] * 8) for name, code in CODES.items() if ITEMSIZE[code]
}
_IMPORTED = {element: code for code, element in _EXPORTED.items()}

_UNSUPPORTED = (
    "Provided tensor is not supported. Tensor must be a DLPack capsule"
    "         or have `__dlpack__` and `__dlpack_device__` attributes"
)
_NOT_CONTIGUOUS = (
    "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in C-Order are supported."
)


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("manager", ctypes.c_void_p), ("deleter", _Deleter))


def _api(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    # Prototypes of our own: those on ctypes.pythonapi are shared with every other library in the process.
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new_capsule = _api("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_is_valid = _api("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
_pointer = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_set_name = _api("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)
# A destructor sees a capsule whose reference count is zero already: it must not become a Python object again.
_is_valid_raw = _api("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer_raw = _api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)

#: What each live export keeps alive, by the address of its managed tensor.
_exports: dict[int, tuple[Any, ...]] = {}


def _delete(address: int, _pop: Callable[..., Any] = _exports.pop) -> None:
    _pop(address, None)


def _destroy(
    capsule: int,
    _valid: Callable[..., int] = _is_valid_raw,
    _get: Callable[..., int] = _pointer_raw,
    _pop: Callable[..., Any] = _exports.pop,
) -> None:
    if _valid(capsule, b"dltensor"):
        _pop(_get(capsule, b"dltensor"), None)


_deleter = _Deleter(_delete)
_destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_destroy)
# Capsules may outlive this module when the interpreter shuts down; what they call or read must outlive it as well.
for _immortal in (_deleter, _destructor, _NAME, _USED_NAME):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_immortal))


def export(address: int, code: int, shape: tuple[int, ...], device: tuple[int, int], owner: object) -> object:
    """A capsule over compact C-ordered memory; `owner` lives for as long as the capsule or its consumer."""
    managed = _Managed()
    dimensions = (ctypes.c_int64 * len(shape))(*shape)
    tensor = managed.tensor
    tensor.data = address
    tensor.device = _Device(*device)
    tensor.ndim = len(shape)
    tensor.dtype = _DataType(*_EXPORTED[code], 1)
    tensor.shape = ctypes.cast(dimensions, ctypes.POINTER(ctypes.c_int64))
    managed.deleter = _deleter
    location = ctypes.addressof(managed)
    _exports[location] = (managed, dimensions, owner)
    return _new_capsule(location, _NAME, ctypes.cast(_destructor, ctypes.c_void_p))


class _Borrow:
    """Holds a producer's managed tensor, and gives it back when it dies; numpy arrays over it are based on it."""

    __slots__ = ("__array_interface__", "_managed")

    def __init__(self, managed: _Managed, address: int, nbytes: int) -> None:
        self._managed = managed
        self.__array_interface__ = {"version": 3, "shape": (nbytes,), "typestr": "|u1", "data": (address, False)}

    def __del__(self) -> None:
        if self._managed.deleter:
            self._managed.deleter(ctypes.addressof(self._managed))


class DeviceMemory(NamedTuple):
    """Borrowed memory of a CUDA device."""

    device: int
    address: int
    nbytes: int
    hold: object

    def to_host(self) -> Array:
        """A copy in host memory."""
        return cuda.driver().to_host(self.device, self.address, self.nbytes)


class Borrowed(NamedTuple):
    """A tensor of another library: datatype code, shape, memory in wire form, DLPack device."""

    code: int
    shape: tuple[int, ...]
    memory: Array | DeviceMemory
    device: tuple[int, int]


def borrow(producer: Any) -> Borrowed:
    """Takes over what a capsule, or an object that makes one, refers to, without copying it."""
    if type(producer).__name__ == "PyCapsule":
        return _adopt(producer)
    if not (hasattr(producer, "__dlpack__") and hasattr(producer, "__dlpack_device__")):
        raise TritonModelException(_UNSUPPORTED)
    device = producer.__dlpack_device__()
    if not isinstance(device, (tuple, list)) or len(device) != 2:
        raise RuntimeError(CAST_FAILED)
    device_type, device_id = device
    if device_type in (CPU, PINNED):
        return _adopt(producer.__dlpack__(stream=None))
    if device_type != CUDA:
        raise TritonModelException(f"DLDevice type {int(device_type)} is not support by Python backend.")
    driver = cuda.driver()
    with driver.on_device(device_id):
        # The producer makes this stream wait for its pending work; so once it is idle, the data is there.
        capsule = producer.__dlpack__(stream=driver.stream(device_id))
        driver.synchronize(device_id)
    return _adopt(capsule)


def _adopt(capsule: Any) -> Borrowed:
    if type(capsule).__name__ != "PyCapsule":
        raise TypeError(f"Object of type '{type(capsule).__name__}' is not an instance of 'capsule'")
    if not _is_valid(capsule, _NAME):
        raise TritonModelException("DLPack capsule was consumed already, or is not a 'dltensor' capsule.")
    managed = _Managed.from_address(_pointer(capsule, _NAME))
    tensor = managed.tensor
    # Everything is checked first: a capsule that is refused still owns its tensor.
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    _require_contiguous(tensor, shape)
    code = _code_of(tensor.dtype)
    nbytes = math.prod(shape) * ITEMSIZE[code]
    address = (tensor.data or 0) + tensor.byte_offset
    _set_name(capsule, _USED_NAME)
    if tensor.device.type == CUDA:
        hold = _Borrow(managed, address, 0)
        device = DeviceMemory(tensor.device.id, address, nbytes, hold)
        return Borrowed(code, shape, device, (CUDA, tensor.device.id))
    if not nbytes:
        _Borrow(managed, 0, 0)  # gives the tensor back at once
        return Borrowed(code, shape, np.empty(0, np.uint8), CPU_DEVICE)
    return Borrowed(code, shape, np.asarray(_Borrow(managed, address, nbytes)), CPU_DEVICE)


def _require_contiguous(tensor: _DLTensor, shape: tuple[int, ...]) -> None:
    if not tensor.strides or 0 in shape:
        return
    expected = 1
    for axis in reversed(range(tensor.ndim)):
        if shape[axis] != 1 and tensor.strides[axis] != expected:
            raise TritonModelException(_NOT_CONTIGUOUS)
        expected *= shape[axis]


def _code_of(dtype: _DataType) -> int:
    if dtype.code == _BFLOAT and dtype.bits != 16:
        raise TritonModelException(f"Expected BF16 tensor to have 16 bits, but had: {dtype.bits}")
    code = _IMPORTED.get((dtype.code, dtype.bits))
    if code is None or dtype.lanes != 1:
        raise TritonModelException("Dtype is invalid.")
    return code
