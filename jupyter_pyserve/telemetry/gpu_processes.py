"""Which process has how much of which GPU's memory, through NVML; on a divided GPU, of which slice.

For a thread of its own, like everything that asks a driver.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.telemetry.gpus import Gpus

_UUID_NBYTES = 96
_MOST_PROCESSES = 1024
#: What NVML says where it cannot tell.
_NOT_AVAILABLE = (1 << 64) - 1
NO_DRIVER = "there is no GPU that NVML can see"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """A process's memory on one device; `nbytes` is None where the driver does not tell."""

    device: int
    uuid: str
    nbytes: int | None

    def to_json_dict(self) -> dict[str, Any]:
        """As the control API shows it."""
        return {"device": self.device, "uuid": self.uuid, "bytes": self.nbytes}


class _ProcessInfo(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class GpuProcesses:
    """Readings of the GPUs that `gpus` has found."""

    def __init__(self, gpus: Gpus) -> None:
        self._gpus = gpus
        self._slices: list[tuple[int, str, ctypes.c_void_p]] | None = None

    def read(self) -> dict[int, list[GpuShare]] | str:
        """By process; or why there is nothing to be had."""
        if not self._gpus.present:
            return NO_DRIVER
        if self._slices is None:
            self._slices = [
                found
                for index, (uuid, device) in enumerate(self._gpus.devices)
                for found in self._divided(index, uuid, device)
            ]
        shares: dict[int, list[GpuShare]] = {}
        for index, uuid, device in self._slices:
            count = ctypes.c_uint(_MOST_PROCESSES)
            infos = (_ProcessInfo * _MOST_PROCESSES)()
            if self._call("DeviceGetComputeRunningProcesses_v3", device, ctypes.byref(count), infos) != 0:
                continue
            for info in infos[: count.value]:
                nbytes = info.used if info.used != _NOT_AVAILABLE else None
                shares.setdefault(info.pid, []).append(GpuShare(device=index, uuid=uuid, nbytes=nbytes))
        return shares

    def _divided(self, index: int, uuid: str, device: ctypes.c_void_p) -> Iterator[tuple[int, str, ctypes.c_void_p]]:
        """The slices of a device, or the device itself when it has none."""
        count = ctypes.c_uint()
        self._call("DeviceGetMaxMigDeviceCount", device, ctypes.byref(count))
        slices = []
        for number in range(count.value):
            part, text = ctypes.c_void_p(), ctypes.create_string_buffer(_UUID_NBYTES)
            if self._call("DeviceGetMigDeviceHandleByIndex", device, ctypes.c_uint(number), ctypes.byref(part)) == 0:
                self._call("DeviceGetUUID", part, text, ctypes.c_uint(_UUID_NBYTES))
                slices.append((index, text.value.decode("ascii", "replace"), part))
        yield from slices or [(index, uuid, device)]

    def _call(self, name: str, *arguments: Any) -> int:
        """NVML's answer; an error for a function that this driver does not have."""
        function = getattr(self._gpus.library, f"nvml{name}", None)
        return int(function(*arguments)) if function is not None else -1
