from __future__ import annotations

import gc

import pytest
from pyserve_stub import cuda
from pyserve_stub.device_memory import DeviceRegion, announced
from pyserve_stub.dlpack import CUDA
from pyserve_stub.memory import SegmentError, Segments
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import TritonModelException
from pyserve_stub.wire.datatypes import CODES

from tests.support.gpu import Gpu


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    found = Gpu()
    monkeypatch.setattr(cuda, "_driver", cuda.Driver(found))
    return found


class Hold:
    """Something that is kept alive."""


def test_a_region_is_opened_once_and_closed_with_the_last_tensor(gpu: Gpu) -> None:
    region = DeviceRegion(0, gpu.allocate(b"0123456789"), 8)
    assert gpu.opened == []
    first, second = region.lend(0, 4, Hold()), region.lend(4, 4, Hold())
    assert len(gpu.opened) == 1
    assert second.address - first.address == 4
    assert bytes(second.to_host()) == b"4567"
    del region, first
    gc.collect()
    assert len(gpu.opened) == 1
    del second
    gc.collect()
    assert gpu.opened == []


def test_a_tensor_lies_inside(gpu: Gpu) -> None:
    with pytest.raises(ValueError, match="a region of 8 bytes has none at 9"):
        DeviceRegion(0, gpu.allocate(b"0123456789"), 8).lend(5, 4, None)
    assert gpu.opened == []


def test_one_that_cannot_be_opened_is_tried_again(gpu: Gpu) -> None:
    region = DeviceRegion(0, gpu.allocate(b"0123"), 4)
    gpu.failing = "cuIpcOpenMemHandle_v2"
    with pytest.raises(TritonModelException, match="failed to open CUDA IPC handle"):
        region.lend(0, 4, None)
    gpu.failing = ""
    assert bytes(region.lend(0, 4, None).to_host()) == b"0123"


def test_segments_lend_what_the_engine_tells_of(gpu: Gpu) -> None:
    segments = Segments()
    told = {"id": 7, "device": 1, "handle": gpu.allocate(b"\0\0\x80\x3f").hex(), "nbytes": 4}
    segments.on_devices.update(announced({"on_devices": [told]}))
    assert announced({"op": "trim"}) == {}
    memory, writable = segments.lend(7, 0, 4, Hold())
    tensor = Tensor._from_memory("x", CODES["FP32"], (1,), memory, writable)
    assert not tensor.is_cpu()
    assert tensor.__dlpack_device__() == (CUDA, 1)
    with pytest.raises(TritonModelException, match="Tensor is stored in GPU and cannot"):
        tensor.as_numpy()
    again = Tensor.from_dlpack("y", tensor.to_dlpack())
    assert not again.is_cpu()
    assert bytes(again._wire()[2]) == b"\0\0\x80\x3f"
    segments.drop(7)
    with pytest.raises(SegmentError, match="segment 7 is not mapped"):
        segments.lend(7, 0, 4, Hold())
