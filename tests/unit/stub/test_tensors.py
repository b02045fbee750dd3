from __future__ import annotations

import gc
import struct
import weakref
from typing import Any

import numpy as np
import pytest
from pyserve_stub.memory import Lease, _Mapped
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import TritonModelException
from pyserve_stub.wire.datatypes import BF16, BYTES, CODES

FP32 = CODES["FP32"]


def memory(data: bytes) -> np.ndarray[Any, Any]:
    return np.frombuffer(bytearray(data), np.uint8)


def arrived(array: np.ndarray[Any, Any], code: int = FP32, writable: bool = True) -> Tensor:
    return Tensor._from_memory("x", code, array.shape, memory(array.tobytes()), writable)


def payload(tensor: Tensor) -> tuple[int, tuple[int, ...], bytes]:
    code, shape, data = tensor._wire()
    return code, shape, bytes(data)


@pytest.mark.parametrize("args", [(), ("x",), ("x", [1]), ("x", None), ("x", np.float32(1)), (3, np.zeros(1))])
def test_needs_a_name_and_an_array(args: Any) -> None:
    with pytest.raises(TypeError, match=r"1\. c_python_backend_utils\.Tensor\(arg0: str, arg1: numpy\.ndarray\)"):
        Tensor(*args)


def test_takes_no_keywords() -> None:
    with pytest.raises(TypeError, match=r"Invoked with: kwargs: name='x', array=array\(\[0\.\]\)"):
        Tensor(name="x", array=np.zeros(1))


@pytest.mark.parametrize("dtype", ["c8", "U2", "M8[s]", "V4", ">f4", ">i8", np.longdouble])
def test_refuses_other_dtypes(dtype: Any) -> None:
    with pytest.raises(TritonModelException, match=r"^NumPy dtype is not supported\.$"):
        Tensor("x", np.zeros(2, dtype))


def test_the_name_is_checked_before_the_dtype() -> None:
    with pytest.raises(TritonModelException, match=r"^Tensor name cannot be an empty string\.$"):
        Tensor("", np.zeros(2, complex))


def test_refuses_masks() -> None:
    with pytest.raises(AttributeError, match=r"^'numpy\.ndarray' object has no attribute 'c_contiguous'$"):
        Tensor("x", np.ma.array([1, 2]))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(bool, "BOOL"), ("u1", "UINT8"), ("u8", "UINT64"), ("i2", "INT16"), ("f2", "FP16"), ("f8", "FP64")],
)
def test_a_contiguous_array_is_kept_and_sent_without_a_copy(dtype: Any, name: str) -> None:
    array = np.ones((2, 3000), dtype)
    tensor = Tensor(b"x", array)
    assert tensor.name() == "x"
    assert tensor.shape() == [2, 3000]
    assert tensor.as_numpy() is array
    assert tensor.is_cpu()
    code, shape, data = tensor._wire()
    assert (code, shape) == (CODES[name], (2, 3000))
    assert tensor.triton_dtype() == code
    assert np.shares_memory(data, array)
    array[0, 0] = 0
    assert bytes(data) == array.tobytes()


def test_a_few_elements_are_sent_as_they_are_when_they_are_sent() -> None:
    array = np.array([[1, 2]], np.int16)
    tensor = Tensor("x", array)
    array[0, 0] = 3
    assert tensor._wire() == (CODES["INT16"], (1, 2), b"\3\0\2\0")


def test_a_few_elements_of_another_array_are_pointed_at() -> None:
    array = np.array([1, 2, 3], np.int16)
    assert np.shares_memory(Tensor("x", array[1:])._wire()[2], array)


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.arange(6.0)[::2], np.asfortranarray(np.eye(3))])
def test_what_is_not_contiguous_is_copied(array: np.ndarray[Any, Any]) -> None:
    tensor = Tensor("x", array)
    assert tensor.as_numpy() is not array
    assert tensor.as_numpy().flags.c_contiguous
    assert payload(tensor) == (CODES["FP64"], array.shape, array.tobytes())


@pytest.mark.parametrize("array", [np.array(1.5), np.zeros((0, 3))])
def test_any_shape_can_be_sent(array: np.ndarray[Any, Any]) -> None:
    assert payload(Tensor("x", array)) == (CODES["FP64"], array.shape, array.tobytes())


def test_objects_are_serialised_at_once() -> None:
    array = np.array([b"a", "é"], object)
    tensor = Tensor("x", array)
    array[0] = b"changed"
    assert payload(tensor) == (BYTES, (2,), b"\x01\0\0\0a\x02\0\0\0\xc3\xa9")
    assert tensor.as_numpy() is array


def test_a_shape_is_a_new_list() -> None:
    tensor = Tensor("x", np.zeros(2))
    tensor.shape().append(3)
    assert tensor.shape() == [2]


def test_memory_becomes_an_array_when_asked_for_and_only_once() -> None:
    tensor = arrived(np.arange(6, dtype=np.float32).reshape(2, 3))
    array = tensor.as_numpy()
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert array.dtype == np.float32
    assert array.flags.writeable
    assert not array.flags.owndata
    assert tensor.as_numpy() is array


def test_memory_is_not_copied_on_the_way_through() -> None:
    data = memory(np.arange(4, dtype=np.float32).tobytes())
    tensor = Tensor._from_memory("x", FP32, (4,), data, True)
    assert np.shares_memory(tensor.as_numpy(), data)
    assert tensor._wire() == (FP32, (4,), data)
    echo = Tensor("y", tensor.as_numpy())
    assert np.shares_memory(echo._wire()[2], data)


def test_memory_of_somebody_else_is_read_only() -> None:
    array = arrived(np.zeros(2, np.float32), writable=False).as_numpy()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_misaligned_memory_is_copied() -> None:
    data = memory(b"." + np.arange(3, dtype=np.float32).tobytes())[1:]
    array = Tensor._from_memory("x", FP32, (3,), data, True).as_numpy()
    assert array.flags.aligned
    assert array.tolist() == [0, 1, 2]
    assert not np.shares_memory(array, data)


@pytest.mark.parametrize("part", ["array", "slice", "tensor"])
def test_memory_lives_as_long_as_anything_over_it(part: str) -> None:
    lease = memory(bytes(16)).view(_Mapped).view(Lease)
    watch = weakref.ref(lease)
    tensor = Tensor._from_memory("x", FP32, (2, 2), lease, True)
    held = {"array": tensor.as_numpy(), "slice": tensor.as_numpy()[1:].T, "tensor": tensor}[part]
    del lease, tensor
    gc.collect()
    assert watch() is not None
    del held
    gc.collect()
    assert watch() is None


def test_empty_memory() -> None:
    tensor = Tensor._from_memory("x", FP32, (0, 3), memory(b""), True)
    assert tensor.as_numpy().shape == (0, 3)
    assert payload(tensor) == (FP32, (0, 3), b"")


def test_bytes_arrive_as_objects() -> None:
    data = memory(b"\x01\0\0\0a\0\0\0\0\x02\0\0\0bc\x01\0\0\0d")
    tensor = Tensor._from_memory("x", BYTES, (2, 2), data, False)
    assert tensor.as_numpy().tolist() == [[b"a", b""], [b"bc", b"d"]]
    assert tensor.as_numpy().flags.writeable
    assert tensor._wire()[2] is data


def test_booleans_arrive_as_booleans() -> None:
    assert Tensor._from_memory("x", CODES["BOOL"], (2,), memory(b"\x01\x00"), True).as_numpy().tolist() == [True, False]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x01\0", "Invalid bytes tensor data: incomplete length field"),
        (b"\x01\0\0\0", "Invalid bytes tensor data: string extends beyond buffer"),
    ],
)
def test_malformed_bytes(data: bytes, text: str) -> None:
    with pytest.raises(TritonModelException, match=f"^{text}$"):
        Tensor._from_memory("x", BYTES, (1,), memory(data), True).as_numpy()


def test_bfloat16_passes_but_is_no_numpy() -> None:
    tensor = Tensor._from_memory("x", BF16, (2,), memory(b"\x80\x3f\x00\x40"), True)
    assert payload(tensor) == (BF16, (2,), b"\x80\x3f\x00\x40")
    with pytest.raises(TritonModelException) as caught:
        tensor.as_numpy()
    assert str(caught.value) == (
        "Tensor dtype is BF16 and cannot be converted to NumPy. Use to_dlpack() and from_dlpack() instead."
    )


def test_identity_is_equality_and_subclasses_work() -> None:
    class Mine(Tensor):
        pass

    mine = Mine("x", np.zeros(1))
    assert mine == mine
    assert mine != Tensor("x", np.zeros(1))
    assert str(Tensor) == "<class 'c_python_backend_utils.Tensor'>"
    with pytest.raises(AttributeError):
        Tensor("x", np.zeros(1)).other = 1  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_subclasses_of_array_are_sent_too() -> None:
    array = np.matrix([[1.0, 2.0]])
    tensor = Tensor("x", array)
    assert tensor.as_numpy() is array
    assert payload(tensor) == (CODES["FP64"], (1, 2), array.tobytes())


def strings(count: int) -> tuple[Tensor, bytes]:
    """A tensor of many strings as it arrives, and its wire form."""
    wire = b"".join(struct.pack("<I", 3) + b"%03d" % number for number in range(count))
    return Tensor._from_memory("x", BYTES, (count,), memory(wire), True), wire


def test_strings_that_a_model_passes_on_stay_where_they_are() -> None:
    arrived, wire = strings(100)
    passed = Tensor("y", arrived.as_numpy())
    assert passed._wire()[2] is arrived._memory
    assert bytes(passed._wire()[2]) == wire
    assert passed.as_numpy() is arrived.as_numpy()


@pytest.mark.parametrize("change", [b"new", "003", bytearray(b"003"), None])
def test_strings_of_which_one_was_replaced_are_encoded_anew(change: object) -> None:
    arrived, wire = strings(100)
    array = arrived.as_numpy()
    array[3] = change
    passed = Tensor("y", array)
    del arrived
    element = str(change).encode() if not isinstance(change, bytes) else change
    expected = wire[: 3 * 7] + struct.pack("<I", len(element)) + element + wire[4 * 7 :]
    assert bytes(passed._wire()[2]) == expected


def test_an_array_outlives_its_tensor() -> None:
    arrived, wire = strings(100)
    array = arrived.as_numpy()
    del arrived
    assert bytes(Tensor("y", array)._wire()[2]) == wire
