"""What the driver says of the GPUs, through NVML, the library that comes with it; without it there are no GPUs.

NVML holds no context and takes no memory of a GPU. Its calls may take milliseconds, so they are made in a thread.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.telemetry.exposition import Family, Kind, labels

_UUID_NBYTES = 96

_FAMILIES = (
    ("nv_gpu_utilization", Kind.GAUGE, "GPU utilization rate [0.0 - 1.0)"),
    ("nv_gpu_memory_total_bytes", Kind.GAUGE, "GPU total memory, in bytes"),
    ("nv_gpu_memory_used_bytes", Kind.GAUGE, "GPU used memory, in bytes"),
    ("nv_gpu_power_usage", Kind.GAUGE, "GPU power usage in watts"),
    ("nv_gpu_power_limit", Kind.GAUGE, "GPU power management limit in watts"),
    ("nv_energy_consumption", Kind.COUNTER, "GPU energy consumption in joules since the Triton Server started"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """One GPU; what its driver does not tell is None."""

    uuid: str
    #: 0 to 1.
    utilization: float | None
    memory_total: int | None
    memory_used: int | None
    power_w: float | None
    power_limit_w: float | None
    #: Since the first reading.
    energy_j: float | None


class _Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


def gpu_families(gpus: Sequence[GpuFacts]) -> list[Family]:
    """Triton's metrics of GPUs; one that a GPU does not tell has no series for it."""
    families = [Family(*described) for described in _FAMILIES]
    for gpu in gpus:
        key = labels({"gpu_uuid": gpu.uuid})
        for family, value in zip(families, _values(gpu)):
            if value is not None:
                family.add(key, value)
    return families


def _values(gpu: GpuFacts) -> tuple[float | None, ...]:
    return gpu.utilization, gpu.memory_total, gpu.memory_used, gpu.power_w, gpu.power_limit_w, gpu.energy_j


def load_nvml() -> Any:
    """The library, or None."""
    try:
        return ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None


def count_gpus(visible: str | None) -> int:
    """How many of them models may use."""
    return len(Gpus(visible).devices)


class Gpus:
    """The GPUs that models may use: those that `visible` names by number or UUID, as CUDA_VISIBLE_DEVICES does."""

    def __init__(self, visible: str | None, load: Callable[[], Any] = load_nvml) -> None:
        #: NVML, if it is there.
        self.library: Any = load() if visible != "" else None
        #: UUID and handle of each.
        self.devices: list[tuple[str, ctypes.c_void_p]] = []
        self._energy_before: dict[str, float] = {}
        if self.library is not None and self.library.nvmlInit_v2() == 0:
            self.devices = self._find(visible)
            for facts in self.read():
                self._energy_before[facts.uuid] = facts.energy_j or 0.0

    @property
    def present(self) -> bool:
        """Whether there is one."""
        return bool(self.devices)

    def read(self) -> list[GpuFacts]:
        """What is so now; takes milliseconds."""
        return [self._facts(uuid, device) for uuid, device in self.devices]

    def _find(self, visible: str | None) -> list[tuple[str, ctypes.c_void_p]]:
        count = self._ask("DeviceGetCount_v2", ctypes.c_uint())
        wanted = [item.strip() for item in visible.split(",")] if visible is not None else None
        found = []
        for index in range(count.value if count is not None else 0):
            device = self._ask("DeviceGetHandleByIndex_v2", ctypes.c_void_p(), ctypes.c_uint(index))
            text = ctypes.create_string_buffer(_UUID_NBYTES)
            if device is None or self.library.nvmlDeviceGetUUID(device, text, ctypes.c_uint(_UUID_NBYTES)) != 0:
                continue
            uuid = text.value.decode("ascii", "replace")
            if wanted is None or str(index) in wanted or any(item and uuid.startswith(item) for item in wanted):
                found.append((uuid, device))
        return found

    def _facts(self, uuid: str, device: ctypes.c_void_p) -> GpuFacts:
        rates = self._ask("DeviceGetUtilizationRates", _Utilization(), device)
        memory = self._ask("DeviceGetMemoryInfo", _Memory(), device)
        energy_j = self._thousandth("DeviceGetTotalEnergyConsumption", ctypes.c_ulonglong(), device)
        if energy_j is not None:
            energy_j -= self._energy_before.get(uuid, 0.0)
        return GpuFacts(
            uuid=uuid,
            utilization=rates.gpu / 100 if rates is not None else None,
            memory_total=memory.total if memory is not None else None,
            memory_used=memory.used if memory is not None else None,
            power_w=self._thousandth("DeviceGetPowerUsage", ctypes.c_uint(), device),
            power_limit_w=self._thousandth("DeviceGetEnforcedPowerLimit", ctypes.c_uint(), device),
            energy_j=energy_j,
        )

    def _thousandth(self, name: str, result: Any, device: ctypes.c_void_p) -> float | None:
        answer = self._ask(name, result, device)
        return answer.value / 1000 if answer is not None else None

    def _ask(self, name: str, result: Any, *arguments: Any) -> Any:
        """`result`, filled in; None when the driver does not have it."""
        with contextlib.suppress(AttributeError):
            if getattr(self.library, f"nvml{name}")(*arguments, ctypes.byref(result)) == 0:
                return result
        return None
