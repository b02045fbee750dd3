from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from typing import Any

import numpy as np
import pytest
from pyserve_stub import cuda, dlpack
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import TritonModelException
from pyserve_stub.wire.datatypes import BF16, CODES, ITEMSIZE

NUMERIC = [name for name in CODES if name not in ("BYTES", "BF16")]
NOT_CONTIGUOUS = (
    "DLPack tensor is not contiguous. Only contiguous DLPack tensors that are stored in C-Order are supported."
)


class Producer:
    """Gives a capsule that a test made, and remembers how it was asked."""

    def __init__(self, capsule: object, device: tuple[int, int] = (1, 0)) -> None:
        self.capsule = capsule
        self.device = device
        self.asked: list[Any] = []

    def __dlpack__(self, **kwargs: Any) -> object:
        self.asked.append(kwargs)
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device


def capsule(array: np.ndarray[Any, Any], device: tuple[int, int] = (1, 0), **fields: Any) -> object:
    """A capsule over `array` whose tensor has `fields` (or of its dtype) set otherwise."""
    made = dlpack.export(array.ctypes.data, CODES["FP32"], array.shape, device, array)
    managed = next(reversed(list(dlpack._exports.values())))[0]
    for name, value in fields.items():
        setattr(managed.tensor.dtype if name in ("code", "bits", "lanes") else managed.tensor, name, value)
    return made


def strides(*values: int) -> Any:
    made = (ctypes.c_int64 * len(values))(*values)
    pointer = ctypes.cast(made, ctypes.POINTER(ctypes.c_int64))
    pointer.kept = made  # type: ignore[attr-defined]
    return pointer


@pytest.fixture(autouse=True)
def nothing_leaks() -> Any:
    gc.collect()
    before = len(dlpack._exports)
    yield
    gc.collect()
    assert len(dlpack._exports) == before


@pytest.mark.parametrize("name", NUMERIC)
def test_numeric_types_go_out_and_come_back(name: str) -> None:
    data = np.frombuffer(bytearray([0, 1] * 16), np.uint8)
    count = len(data) // ITEMSIZE[CODES[name]]
    out = Tensor._from_memory("x", CODES[name], (2, count // 2), data, True)
    back = Tensor.from_dlpack("y", out)
    assert back._wire()[:2] == (CODES[name], (2, count // 2))
    assert np.shares_memory(back._wire()[2], data)
    assert back.as_numpy().tolist() == out.as_numpy().tolist()
    assert not np.shares_memory(back.as_numpy(), data)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1, 1), (2, 1, 3)])
def test_any_shape_goes_out_and_comes_back(shape: tuple[int, ...]) -> None:
    array = np.ones(shape, np.float32)
    back = Tensor.from_dlpack(b"y", Tensor("x", array))
    assert back.name() == "y"
    assert back.shape() == list(shape)
    assert back.as_numpy().tolist() == array.tolist()


def test_a_capsule_keeps_the_tensor_alive_until_it_dies() -> None:
    tensor = Tensor("x", np.zeros(2))
    count = sys.getrefcount(tensor)
    made = [tensor.to_dlpack(), tensor.__dlpack__(), tensor.__dlpack__(3), tensor.__dlpack__(stream=None)]
    assert sys.getrefcount(tensor) == count + 4
    assert all('"dltensor"' in repr(one) for one in made)
    del made
    assert sys.getrefcount(tensor) == count


def test_what_later_editions_ask_for_is_refused() -> None:
    with pytest.raises(TypeError, match=r"__dlpack__\(\): incompatible function arguments"):
        Tensor("x", np.zeros(2)).__dlpack__(copy=True)


def test_numpy_consumes_without_a_copy() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = Tensor("x", array)
    assert tensor.__dlpack_device__() == (1, 0)
    count = sys.getrefcount(tensor)
    consumed = np.from_dlpack(tensor)  # type: ignore[arg-type]
    assert consumed.tolist() == array.tolist()
    assert np.shares_memory(consumed, array)
    assert sys.getrefcount(tensor) == count + 1
    del consumed
    assert sys.getrefcount(tensor) == count


def test_numpy_produces_and_its_array_lives_as_long_as_the_tensor() -> None:
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    watch = weakref.ref(array)
    tensor = Tensor.from_dlpack("x", array)
    data = tensor._wire()[2]
    assert np.shares_memory(data, array)
    del array, tensor
    gc.collect()
    assert watch() is not None
    assert bytes(data) == np.arange(6, dtype=np.int16).tobytes()
    del data
    gc.collect()
    assert watch() is None


def test_a_capsule_is_consumed_once() -> None:
    made = np.arange(3.0).__dlpack__()
    tensor = Tensor.from_dlpack("x", made)
    assert '"used_dltensor"' in repr(made)
    with pytest.raises(TritonModelException, match=r"^DLPack capsule was consumed already"):
        Tensor.from_dlpack("y", made)
    del made
    assert tensor.as_numpy().tolist() == [0, 1, 2]


def test_a_capsule_that_is_refused_stays_whole() -> None:
    array = np.arange(6.0)[::2]
    made = array.__dlpack__()
    with pytest.raises(TritonModelException):
        Tensor.from_dlpack("x", made)
    assert '"dltensor"' in repr(made)


def test_strings_do_not_go_out() -> None:
    with pytest.raises(TritonModelException, match=r"^DLPack does not have support for string tensors\.$"):
        Tensor("x", np.array([b"a"], object)).to_dlpack()


def test_bfloat16_goes_out_and_comes_back() -> None:
    data = np.frombuffer(bytearray(b"\x80\x3f\x00\x40"), np.uint8)
    tensor = Tensor.from_dlpack("y", Tensor._from_memory("x", BF16, (2,), data, True))
    assert tensor._wire()[0] == BF16
    assert bytes(tensor._wire()[2]) == bytes(data)


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (("", 3), TritonModelException, "Tensor name cannot be an empty string."),
        (
            ("x", 3),
            TritonModelException,
            "Provided tensor is not supported. Tensor must be a DLPack capsule         or have `__dlpack__` and"
            " `__dlpack_device__` attributes",
        ),
        (("x", Producer(None, (8, 0))), TritonModelException, "DLDevice type 8 is not support by Python backend."),
        (("x", np.arange(6)[::2]), TritonModelException, NOT_CONTIGUOUS),
        (("x", np.arange(6)[::-1]), TritonModelException, NOT_CONTIGUOUS),
        (("x", np.eye(4)[::2]), TritonModelException, NOT_CONTIGUOUS),
        (("x", np.eye(4)[:, ::2]), TritonModelException, NOT_CONTIGUOUS),
        (("x", np.ones((2, 3)).T), TritonModelException, NOT_CONTIGUOUS),
        (("x", np.ones(2, complex)), TritonModelException, "Dtype is invalid."),
    ],
)
def test_refuses(args: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        Tensor.from_dlpack(*args)
    assert str(caught.value) == text


@pytest.mark.parametrize("args", [("x",), (None, 3), ("x", 3, 4)])
def test_needs_a_name_and_an_object(args: Any) -> None:
    with pytest.raises(TypeError, match=r"1\. \(self: str, arg0: object\) -> c_python_backend_utils\.Tensor"):
        Tensor.from_dlpack(*args)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"code": 4, "bits": 32}, "Expected BF16 tensor to have 16 bits, but had: 32"),
        ({"lanes": 4}, "Dtype is invalid."),
        ({"code": 5, "bits": 64}, "Dtype is invalid."),
        ({"bits": 128}, "Dtype is invalid."),
    ],
)
def test_refuses_other_types(fields: Any, text: str) -> None:
    with pytest.raises(TritonModelException) as caught:
        Tensor.from_dlpack("x", capsule(np.zeros(4, np.float32), **fields))
    assert str(caught.value) == text


def test_strides_of_axes_of_one_element_do_not_matter() -> None:
    array = np.arange(3, dtype=np.float32).reshape(1, 3, 1)
    steps = strides(99, 1, 77)
    made = capsule(array, strides=steps)
    assert Tensor.from_dlpack("x", made).as_numpy().tolist() == array.tolist()


def test_the_byte_offset_is_honoured() -> None:
    array = np.arange(4, dtype=np.float32)
    made = dlpack.export(array.ctypes.data - 8, CODES["FP32"], (2,), (1, 0), array)
    next(reversed(list(dlpack._exports.values())))[0].tensor.byte_offset = 16
    assert Tensor.from_dlpack("x", made).as_numpy().tolist() == [2, 3]


@pytest.mark.parametrize("device", [(1, 0), (3, 0)])
def test_host_producers_are_asked_without_a_stream(device: tuple[int, int]) -> None:
    producer = Producer(capsule(np.ones(2, np.float32), device), device)
    tensor = Tensor.from_dlpack("x", producer)
    assert producer.asked == [{"stream": None}]
    assert tensor.is_cpu()
    assert tensor.__dlpack_device__() == (1, 0)
    producer.capsule = None


class FakeDriver:
    """A device whose memory is this process's own."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, name: str, *values: Any) -> int:
        self.calls.append(name)
        if name == "cuStreamCreate":
            values[0]._obj.value = 4242
        if name == "cuMemcpyDtoH_v2":
            ctypes.memmove(values[0].value, values[1].value, values[2].value)
        return 0


def test_a_device_tensor_is_synchronised_borrowed_and_copied_only_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    monkeypatch.setattr(cuda, "_driver", cuda.Driver(fake))
    array = np.arange(4, dtype=np.float32)
    producer = Producer(capsule(array, (2, 1)), (2, 1))
    tensor = Tensor.from_dlpack("x", producer)
    producer.capsule = None
    assert producer.asked == [{"stream": 4242}]
    assert fake.calls[-2:] == ["cuStreamSynchronize", "cuCtxPopCurrent_v2"]
    assert not tensor.is_cpu()
    assert tensor.__dlpack_device__() == (2, 1)
    with pytest.raises(TritonModelException, match=r"^Tensor is stored in GPU and cannot be converted to NumPy\.$"):
        tensor.as_numpy()
    assert bytes(tensor._wire()[2]) == array.tobytes()
    again = Tensor.from_dlpack("y", tensor.to_dlpack())
    assert bytes(again._wire()[2]) == array.tobytes()


def test_without_a_device_a_device_tensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_driver", None)

    def absent(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(TritonModelException, match=r"^Failed to get current CUDA device id\.$"):
        Tensor.from_dlpack("x", Producer(None, (2, 0)))
