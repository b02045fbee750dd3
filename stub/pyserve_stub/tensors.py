"""The `Tensor` of `pb_utils`: a name, a shape, and elements that are decoded or serialised as late as possible.

A tensor that arrived is memory in wire form, lent until nothing refers to it any more; a tensor that a model made is
its array. Neither is copied unless it must be, and strings that a model passes on as it got them are not even encoded.
Knows nothing of requests or of how memory travels.
"""

from __future__ import annotations

import ctypes
import struct
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from pyserve_stub import arguments, dlpack
from pyserve_stub.elements import DTYPES, code_of, decode_elements, encode_elements
from pyserve_stub.vocabulary import NATIVE_MODULE, NativeObject, TritonModelException
from pyserve_stub.wire.datatypes import BYTES

if TYPE_CHECKING:
    from pyserve_stub.elements import Array

_INIT = arguments.Signature(
    "__init__",
    arguments.Parameter("arg0", "str", arguments.text, positional_only=True),
    arguments.Parameter("arg1", "numpy.ndarray", arguments.array, positional_only=True),
    returns=f"{NATIVE_MODULE}.Tensor",
)
_FROM_DLPACK = arguments.Signature(
    "from_dlpack",
    arguments.Parameter("self", "str", arguments.text, positional_only=True),
    arguments.Parameter("arg0", "object", arguments.anything, positional_only=True),
    returns=f"{NATIVE_MODULE}.Tensor",
)
_DLPACK = arguments.Signature(
    "__dlpack__",
    arguments.Parameter("stream", "object", arguments.anything, None),
    returns="capsule",
    receiver=f"{NATIVE_MODULE}.Tensor",
)

#: Fewer strings are encoded as quickly as it is found out whether they are still the same.
_MANY_ELEMENTS = 64

#: An array's own bytes are copied sooner than they are looked at as bytes, if there are no more than this.
_FEW_NBYTES = 4096

#: Tensors whose strings were decoded into an array, by the array's id.
_decoded: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


def _pointers(array: Array) -> bytes:
    """Which objects an array of objects holds."""
    return ctypes.string_at(array.__array_interface__["data"][0], array.nbytes)


def _untouched(array: Array) -> Array | bytes | None:
    """The wire form of an array of strings that a model passes on as it got it; None of any other."""
    source = _decoded.get(id(array))
    if source is None or source._array is not array or _pointers(array) != source._elements[1]:
        return None
    return source._host_memory()


_EMPTY_NAME = "Tensor name cannot be an empty string."


class Tensor(NativeObject):
    """`Tensor(name, array)`: a named array, kept by reference when it is C-contiguous."""

    __slots__ = ("_array", "_code", "_device", "_elements", "_memory", "_name", "_private", "_shape", "_writable")
    __module__ = NATIVE_MODULE

    _name: str
    _code: int
    _shape: tuple[int, ...]
    #: What `as_numpy()` returns; None until it is asked for.
    _array: Array | None
    #: The elements in wire form; None for a numeric tensor that a model made, whose array is its memory.
    _memory: Array | bytes | dlpack.DeviceMemory | None
    _writable: bool
    #: Whether `as_numpy()` must copy, because the memory belongs to another library's tensor.
    _private: bool
    #: DLPack's (device type, device id) of memory that is the host's.
    _device: tuple[int, int]
    #: Of many strings that were decoded: the objects, and where the array had them.
    _elements: tuple[list[Any], bytes]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs or len(args) != 2 or type(args[0]) is not str or type(args[1]) is not np.ndarray:
            args = _INIT.bind(args, kwargs)  # seldom, and slow
            if args[0] and isinstance(args[1], np.ma.MaskedArray):
                # Its mask would be lost without a word; the text is what models meet on Triton.
                raise AttributeError("'numpy.ndarray' object has no attribute 'c_contiguous'")
        name, array = args
        if not name:
            raise TritonModelException(_EMPTY_NAME)
        code = code_of(array.dtype)
        if not code:
            raise TritonModelException("NumPy dtype is not supported.")
        if not array.flags.c_contiguous:
            array = np.array(array, order="C", copy=True)
        self._name = name
        self._code = code
        self._shape = array.shape
        self._array = array
        # At once, so that what is sent does not change with what happens to the objects later.
        self._memory = None
        if code == BYTES:
            untouched = _untouched(array)
            self._memory = encode_elements(array) if untouched is None else untouched
        self._writable = True
        self._private = False
        self._device = dlpack.CPU_DEVICE

    @classmethod
    def _from_memory(
        cls, name: str, code: int, shape: tuple[int, ...], memory: Array | dlpack.DeviceMemory, writable: bool
    ) -> Tensor:
        """A tensor over `memory`, bytes in wire form; every array made from it keeps `memory` alive."""
        tensor = cls.__new__(cls)
        tensor._name = name
        tensor._code = code
        tensor._shape = shape
        tensor._array = None
        tensor._memory = memory
        tensor._writable = writable
        tensor._private = False
        tensor._device = dlpack.CPU_DEVICE
        return tensor

    def name(self) -> str:
        """The name."""
        return self._name

    def shape(self) -> list[int]:
        """The dimensions, as a new list."""
        return list(self._shape)

    def triton_dtype(self) -> int:
        """The number of the datatype, as in TRITONSERVER_DataType."""
        return self._code

    def is_cpu(self) -> bool:
        """Whether the elements are in host memory, pinned memory included."""
        return not isinstance(self._memory, dlpack.DeviceMemory)

    def as_numpy(self) -> Array:
        """The elements as an array; the same one at each call."""
        array = self._array
        if array is None:
            array = self._array = self._decode()
        return array

    def _decode(self) -> Array:
        memory = self._host_memory()
        code = self._code
        if code == BYTES:
            try:
                strings = decode_elements(memory).reshape(self._shape)
            except struct.error as error:
                raise TritonModelException(str(error)) from None
            if strings.size >= _MANY_ELEMENTS:
                self._elements = strings.reshape(-1).tolist(), _pointers(strings)
                _decoded[id(strings)] = self
            return strings
        dtype = DTYPES[code]
        if dtype is None:
            raise TritonModelException(
                "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead."
            )
        if not len(memory):
            return np.empty(self._shape, dtype)
        # `memory` is this array's base, with what it holds: a lease is not made from a plain array.
        array: Array = np.ndarray(self._shape, dtype, memory)
        if self._private or not array.flags.aligned:
            array = array.copy()
        elif not self._writable:
            array.flags.writeable = False
        return array

    def _host_memory(self) -> Array | bytes:
        """The elements in wire form; of a tensor made from an array, its memory."""
        memory = self._memory
        if memory is None:
            # asarray: a subclass such as matrix would not become one-dimensional.
            memory = np.asarray(self._array).reshape(-1).view(np.uint8)
        elif isinstance(memory, dlpack.DeviceMemory):
            raise TritonModelException("Tensor is stored in GPU and cannot be converted to NumPy.")
        return memory

    def _wire(self) -> tuple[int, tuple[int, ...], Array | bytes]:
        """Datatype code, shape and contiguous bytes, not copied unless they are few; what arrived untouched leaves as
        the same memory.
        """
        memory = self._memory
        if memory is None:
            array = self._array
            if array is not None and array.base is None and array.nbytes <= _FEW_NBYTES:
                memory = array.tobytes()
            else:
                memory = self._host_memory()
        elif isinstance(memory, dlpack.DeviceMemory):
            memory = memory.to_host()
        return self._code, self._shape, memory

    def to_dlpack(self) -> object:
        """A `dltensor` capsule over the same memory; it keeps this tensor alive."""
        if self._code == BYTES:
            raise TritonModelException("DLPack does not have support for string tensors.")
        memory = self._memory
        if isinstance(memory, dlpack.DeviceMemory):
            address = memory.address
        else:
            address = self._host_memory().__array_interface__["data"][0]  # type: ignore[union-attr]
        return dlpack.export(address, self._code, self._shape, self.__dlpack_device__(), self)

    def __dlpack__(self, *args: Any, **kwargs: Any) -> object:
        # `stream` is ignored: no work is ever pending. What later editions of the protocol ask for (max_version, copy,
        # dl_device) is refused, whereupon consumers ask again without, or fail instead of being given too little.
        _DLPACK.bind(args, kwargs, (self,))
        return self.to_dlpack()

    def __dlpack_device__(self) -> tuple[int, int]:
        memory = self._memory
        return (dlpack.CUDA, memory.device) if isinstance(memory, dlpack.DeviceMemory) else self._device

    @staticmethod
    def from_dlpack(*args: Any, **kwargs: Any) -> Tensor:
        """`from_dlpack(name, obj)`: a tensor over the memory of a DLPack capsule or of an object that gives one."""
        name, producer = _FROM_DLPACK.bind(args, kwargs)
        if not name:
            raise TritonModelException(_EMPTY_NAME)
        borrowed = dlpack.borrow(producer)
        tensor = Tensor._from_memory(name, borrowed.code, borrowed.shape, borrowed.memory, True)
        tensor._private = True
        tensor._device = borrowed.device
        return tensor
