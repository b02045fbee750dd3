from __future__ import annotations

import ctypes
from typing import Any

import pytest

from jupyter_pyserve.telemetry.gpus import GpuFacts, Gpus, count_gpus, gpu_families, load_nvml

UUIDS = ("GPU-aaaa-1", "GPU-bbbb-2")
_FAILED = 3
_FUNCTIONS = {
    "nvmlInit_v2": "init",
    "nvmlDeviceGetCount_v2": "count",
    "nvmlDeviceGetHandleByIndex_v2": "handle",
    "nvmlDeviceGetUUID": "uuid",
    "nvmlDeviceGetUtilizationRates": "utilization",
    "nvmlDeviceGetMemoryInfo": "memory",
    "nvmlDeviceGetPowerUsage": "power",
    "nvmlDeviceGetEnforcedPowerLimit": "power_limit",
    "nvmlDeviceGetTotalEnergyConsumption": "energy",
}


class Nvml:
    """A driver with two GPUs, called as the library is; `lacking` are functions that it answers with an error."""

    def __init__(self, *lacking: str) -> None:
        self.lacking = lacking
        self.energy_mj = 5000

    def __getattr__(self, name: str) -> Any:
        if name == "nvmlDeviceGetEnforcedPowerLimit" and name in self.lacking:
            raise AttributeError(name)  # an old driver
        return lambda *arguments: _FAILED if name in self.lacking else getattr(self, _FUNCTIONS[name])(*arguments)

    def init(self) -> int:
        return 0

    def count(self, count: Any) -> int:
        count._obj.value = len(UUIDS)
        return 0

    def handle(self, index: Any, device: Any) -> int:
        device._obj.value = index.value + 1
        return 0

    def uuid(self, device: Any, text: Any, nbytes: Any) -> int:
        assert nbytes.value == ctypes.sizeof(text)
        text.value = UUIDS[device.value - 1].encode()
        return 0

    def utilization(self, device: Any, rates: Any) -> int:
        rates._obj.gpu, rates._obj.memory = 25, 99
        return 0

    def memory(self, device: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.free, memory._obj.used = 1 << 40, 1, 1 << 33
        return 0

    def power(self, device: Any, milliwatts: Any) -> int:
        milliwatts._obj.value = 70_500
        return 0

    def power_limit(self, device: Any, milliwatts: Any) -> int:
        milliwatts._obj.value = 700_000
        return 0

    def energy(self, device: Any, millijoules: Any) -> int:
        millijoules._obj.value = self.energy_mj
        return 0


FIRST = GpuFacts(
    uuid=UUIDS[0],
    utilization=0.25,
    memory_total=1 << 40,
    memory_used=1 << 33,
    power_w=70.5,
    power_limit_w=700.0,
    energy_j=0.0,
)


def test_every_figure() -> None:
    first, second = Gpus(None, Nvml).read()
    assert (first, second.uuid) == (FIRST, UUIDS[1])
    assert Gpus(None, Nvml).present


def test_energy_counts_from_the_first_reading() -> None:
    nvml = Nvml()
    gpus = Gpus("0", lambda: nvml)
    nvml.energy_mj += 2500
    assert [facts.energy_j for facts in gpus.read()] == [2.5]


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, UUIDS),
        ("0", UUIDS[:1]),
        ("1, 0", UUIDS),
        ("GPU-bbbb", UUIDS[1:]),
        ("7", ()),
        ("", ()),
        (",", ()),
    ],
)
def test_only_those_that_models_may_use(visible: str | None, found: tuple[str, ...]) -> None:
    gpus = Gpus(visible, Nvml)
    assert tuple(facts.uuid for facts in gpus.read()) == found


def test_how_many_there_are() -> None:
    assert count_gpus("") == 0
    assert count_gpus(None) == len(Gpus(None).devices)


@pytest.mark.parametrize("load", [lambda: None, lambda: Nvml("nvmlInit_v2"), lambda: Nvml("nvmlDeviceGetCount_v2")])
def test_no_driver_no_gpus(load: Any) -> None:
    assert Gpus(None, load).read() == []
    assert not Gpus(None, load).present


def test_what_a_driver_does_not_tell_is_left_out() -> None:
    lacking = (
        "nvmlDeviceGetUtilizationRates",
        "nvmlDeviceGetMemoryInfo",
        "nvmlDeviceGetEnforcedPowerLimit",
        "nvmlDeviceGetTotalEnergyConsumption",
    )
    gpus = Gpus("0", lambda: Nvml(*lacking)).read()
    assert {item.name: item.samples for item in gpu_families(gpus) if item.samples} == {
        "nv_gpu_power_usage": {'{gpu_uuid="GPU-aaaa-1"}': 70.5}
    }


def test_their_metrics() -> None:
    key = '{gpu_uuid="GPU-aaaa-1"}'
    assert {item.name: (item.kind.value, item.samples) for item in gpu_families([FIRST])} == {
        "nv_gpu_utilization": ("gauge", {key: 0.25}),
        "nv_gpu_memory_total_bytes": ("gauge", {key: 1 << 40}),
        "nv_gpu_memory_used_bytes": ("gauge", {key: 1 << 33}),
        "nv_gpu_power_usage": ("gauge", {key: 70.5}),
        "nv_gpu_power_limit": ("gauge", {key: 700.0}),
        "nv_energy_consumption": ("counter", {key: 0.0}),
    }


def test_the_library_of_this_machine_can_be_asked() -> None:
    assert isinstance(Gpus(None, load_nvml).read(), list)
