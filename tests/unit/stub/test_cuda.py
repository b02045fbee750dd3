from __future__ import annotations

from typing import Any

import pytest
from pyserve_stub import cuda
from pyserve_stub.vocabulary import TritonModelException

from tests.support.gpu import Gpu


class Library:
    """Stands for libcuda: fails at one function, and notes the calls."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __call__(self, name: str, *values: Any) -> int:
        self.calls.append((name, values))
        if name == "cuStreamCreate":
            values[0]._obj.value = 17
        return int(name == self.failing)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


def test_contexts_and_streams_are_made_once_per_device() -> None:
    library = Library()
    driver = cuda.Driver(library)
    for _ in range(2):
        with driver.on_device(1):
            assert driver.stream(1) == 17
            driver.synchronize(1)
    assert library.names().count("cuDevicePrimaryCtxRetain") == 1
    assert library.names().count("cuStreamCreate") == 1
    assert library.names().count("cuCtxPushCurrent_v2") == library.names().count("cuCtxPopCurrent_v2") == 2


def test_the_device_is_restored_when_the_work_fails() -> None:
    library = Library()
    with pytest.raises(ZeroDivisionError), cuda.Driver(library).on_device(0):
        raise ZeroDivisionError
    assert library.names()[-1] == "cuCtxPopCurrent_v2"


@pytest.mark.parametrize(
    ("failing", "text"),
    [
        ("cuInit", "Failed to get current CUDA device id."),
        ("cuDevicePrimaryCtxRetain", "Failed to set current CUDA device to 2"),
        ("cuStreamCreate", "Failed to create a CUDA stream for a DLPack call."),
        ("cuStreamSynchronize", "Failed to synchronize CUDA device with id 2"),
        ("cuMemcpyDtoH_v2", "Failed to copy a tensor from CUDA device with id 2"),
        ("cuMemcpyHtoD_v2", "Failed to copy a tensor to CUDA device with id 2"),
        ("cuCtxSynchronize", "Failed to copy a tensor to CUDA device with id 2"),
        ("cuMemHostAlloc", "Failed to allocate pinned memory"),
        ("cuIpcOpenMemHandle_v2", "failed to open CUDA IPC handle: error 1"),
        ("cuMemGetAddressRange_v2", "Failed to get CUDA address range: error 1"),
    ],
)
def test_failures_are_told(failing: str, text: str) -> None:
    def use() -> None:
        driver = cuda.Driver(Library(failing))
        with driver.on_device(2):
            driver.synchronize(2)
        driver.to_host(2, 0, 0)
        driver.store(2, 0, 0, 0)
        driver.pinned(2, 1)
        driver.room(2, driver.open(2, bytes(64)))

    with pytest.raises(TritonModelException) as caught:
        use()
    assert str(caught.value) == text


def test_memory_of_another_process() -> None:
    gpu = Gpu()
    driver, handle = cuda.Driver(gpu), gpu.allocate(b"0123456789")
    address = driver.open(0, handle)
    assert driver.room(0, address) == 10
    assert driver.to_host(0, address + 2, 3).tobytes() == b"234"
    driver.store(0, address, driver.pinned(0, 4), 4)
    assert gpu.content(handle) == bytes(4) + b"456789"
    assert gpu.calls.index("cuMemcpyHtoD_v2") < gpu.calls.index("cuCtxSynchronize")
    driver.close(0, address)
    assert gpu.opened == []


def test_a_failure_has_the_drivers_name() -> None:
    gpu = Gpu()
    gpu.failing = "cuIpcOpenMemHandle_v2"
    with pytest.raises(TritonModelException, match=r"^failed to open CUDA IPC handle: CUDA_ERROR_UNKNOWN$"):
        cuda.Driver(gpu).open(0, bytes(64))
