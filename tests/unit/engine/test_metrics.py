from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.cache.store import CacheFigures, Kept, ResponseCache
from jupyter_pyserve.engine.metrics import Metrics
from jupyter_pyserve.engine.stubs.callbacks import StubServices
from jupyter_pyserve.model.statistics import ModelStatistics
from jupyter_pyserve.settings import MetricsSettings
from jupyter_pyserve.telemetry.gpus import GpuFacts
from tests.unit.engine.test_custom_metrics import Stub


def version(
    name: str,
    *,
    namespace: str = "",
    tags: dict[str, str] | None = None,
    catch_up: Callable[[], None] = lambda: None,
) -> Any:
    return SimpleNamespace(
        name=name,
        namespace=namespace,
        version=3,
        config=SimpleNamespace(metric_tags=tags or {}),
        answers=None,
        statistics=ModelStatistics(),
        pending=2,
        load_s=0.5,
        instances=[SimpleNamespace(catch_up=catch_up)],
    )


def text(*versions: Any, **settings: Any) -> str:
    return Metrics(MetricsSettings(**settings), StubServices()).text(cast(Any, versions))


def test_each_version_is_labelled() -> None:
    shown = text(version("m"), version("n", tags={"team": 'a"b', "abc": "x"}))
    assert 'nv_inference_pending_request_count{model="m",version="3"} 2' in shown
    assert 'nv_inference_count{_abc="x",_team="a\\"b",model="n",version="3"} 0' in shown


def test_namespaces_are_labels() -> None:
    shown = text(version("m", namespace="/a"), version("m", namespace="/b"))
    for namespace in ("/a", "/b"):
        assert f'nv_inference_count{{model="m",namespace="{namespace}",version="3"}} 0' in shown
        assert f'nv_inference_pending_request_count{{model="m",namespace="{namespace}",version="3"}} 2' in shown


def test_requests_come_between_the_pieces_of_a_scrape() -> None:
    async def scenario() -> None:
        turns = 0

        async def requests() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        metrics = Metrics(MetricsSettings(gpu=False), StubServices())
        versions = [version(f"m{number}") for number in range(100)]
        others = asyncio.create_task(requests())
        shown = await metrics.scrape(lambda: cast(Any, versions))
        others.cancel()
        assert turns > 20
        assert shown.count("\nnv_inference_count{") == 100

    asyncio.run(scenario())


def test_without_models_the_machine_is_left() -> None:
    names = [line.split()[2] for line in text().splitlines() if line.startswith("# TYPE")]
    assert names == [
        "nv_pinned_memory_pool_total_bytes",
        "nv_pinned_memory_pool_used_bytes",
        "nv_cpu_utilization",
        "nv_cpu_memory_total_bytes",
        "nv_cpu_memory_used_bytes",
    ]


def test_settings_are_followed() -> None:
    shown = text(version("m"), cpu=False, counter_latencies=False, pinned_pool_nbytes=1024)
    assert "nv_cpu" not in shown
    assert "duration_us" not in shown
    assert "nv_pinned_memory_pool_total_bytes 1024\n" in shown


def test_what_stubs_have_said_before_is_taken_in_first() -> None:
    item = version("m")

    def catch_up() -> None:
        item.statistics.execution_count += 1

    item.instances = [SimpleNamespace(catch_up=catch_up)] * 2
    assert 'nv_inference_exec_count{model="m",version="3"} 2' in text(item)


class Gpus:
    """One GPU, or none; counts how often it is asked."""

    def __init__(self, *, present: bool = True) -> None:
        self.present = present
        self.asked = 0

    def read(self) -> list[GpuFacts]:
        self.asked += 1
        facts: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(GpuFacts))
        return [GpuFacts(**{**facts, "uuid": "GPU-1", "power_w": 70.5})] if self.present else []


@pytest.mark.parametrize(
    ("gpus", "settings", "asked"),
    [
        (Gpus(), {"interval_s": 0.0}, 2),
        (Gpus(), {"interval_s": 1e9}, 1),
        (Gpus(present=False), {"interval_s": 0.0}, 1),
        (Gpus(), {"gpu": False, "interval_s": 0.0}, 0),
    ],
)
def test_gpus_are_asked_in_a_thread_once_an_interval(gpus: Gpus, settings: dict[str, Any], asked: int) -> None:
    named: list[str | None] = []

    def find(visible: str | None) -> Any:
        named.append(visible)
        return gpus

    async def run() -> str:
        metrics = Metrics(MetricsSettings(visible_gpus="0", **settings), StubServices(), find)
        await metrics.scrape(lambda: ())
        return await metrics.scrape(lambda: ())

    shown = asyncio.run(run())
    assert ('nv_gpu_power_usage{gpu_uuid="GPU-1"} 70.5\n' in shown) == (gpus.present and asked > 0)
    assert (gpus.asked, named) == (asked, ["0"] if asked else [])


def test_what_models_count_themselves_is_shown() -> None:
    services = StubServices()
    metrics = Metrics(MetricsSettings(), services)
    model = Stub(services, "m_0")
    model.apply(model.metric(model.family("orders"), {"shop": "a"}), "increment", 3)
    assert 'orders{shop="a"} 3\n' in metrics.text(())


def test_what_the_cache_did() -> None:
    cache = ResponseCache(2000)
    cache.keep(1, b"k", Kept(b"", (), (b"x" * 100,), b""))
    cache.figures = CacheFigures(hits=2, misses=3, evictions=4, lookup_ns=5_999, insertion_ns=6_999)
    shown = Metrics(MetricsSettings(), StubServices(), cache=cache).text(())
    assert [line.removeprefix("nv_cache_") for line in shown.splitlines() if line.startswith("nv_cache")] == [
        f"util {cache.used_nbytes / 2000:.16g}",
        "num_entries 1",
        "num_hits 2",
        "num_misses 3",
        "num_lookups 5",
        "num_evictions 4",
        "lookup_duration 5",
        "insertion_duration 6",
    ]
