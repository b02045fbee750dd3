from __future__ import annotations

from typing import Any

from jupyter_pyserve.telemetry.gpu_processes import NO_DRIVER, GpuProcesses, GpuShare
from jupyter_pyserve.telemetry.gpus import Gpus
from tests.unit.telemetry.test_gpus import UUIDS, Nvml

UNKNOWN = (1 << 64) - 1


class Driver(Nvml):
    """Two GPUs with processes; the second one may be divided."""

    def __init__(self, *, slices: int = 0, broken: bool = False) -> None:
        super().__init__()
        self.slices = slices
        self.broken = broken

    def __getattr__(self, name: str) -> Any:
        own = {
            "nvmlDeviceGetMaxMigDeviceCount": self.slice_count,
            "nvmlDeviceGetMigDeviceHandleByIndex": self.slice,
            "nvmlDeviceGetComputeRunningProcesses_v3": self.processes,
        }
        if name == "nvmlDeviceGetUUID" and self.slices:
            return self.slice_uuid
        return own[name] if name in own else super().__getattr__(name)

    def slice_count(self, device: Any, count: Any) -> int:
        count._obj.value = self.slices if device.value == 2 else 0
        return 0

    def slice(self, device: Any, index: Any, part: Any) -> int:
        part._obj.value = 10 + index.value
        return 0 if index.value else 9  # the first one is not there

    def slice_uuid(self, device: Any, text: Any, nbytes: Any) -> int:
        text.value = f"MIG-{device.value}".encode() if device.value >= 10 else UUIDS[device.value - 1].encode()
        return 0

    def processes(self, device: Any, count: Any, infos: Any) -> int:
        if self.broken:
            return 3
        infos[0].pid, infos[0].used = 70, 1000 * device.value
        infos[1].pid, infos[1].used = 80 + device.value, UNKNOWN
        count._obj.value = 2
        return 0


def read(driver: Any) -> Any:
    return GpuProcesses(Gpus(None, lambda: driver)).read()


def test_by_process_and_device() -> None:
    assert read(Driver()) == {
        70: [
            GpuShare(device=0, uuid=UUIDS[0], nbytes=1000),
            GpuShare(device=1, uuid=UUIDS[1], nbytes=2000),
        ],
        81: [GpuShare(device=0, uuid=UUIDS[0], nbytes=None)],
        82: [GpuShare(device=1, uuid=UUIDS[1], nbytes=None)],
    }


def test_slices_of_a_divided_one() -> None:
    shares = read(Driver(slices=2))[70]
    assert [(share.device, share.uuid, share.nbytes) for share in shares] == [
        (0, UUIDS[0], 1000),
        (1, "MIG-11", 11000),
    ]


def test_what_cannot_be_had_is_no_error() -> None:
    assert read(None) == NO_DRIVER
    assert read(Driver(broken=True)) == {}


def test_as_it_is_shown() -> None:
    assert GpuShare(device=1, uuid="u", nbytes=5).to_json_dict() == {"device": 1, "uuid": "u", "bytes": 5}
