from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from jupyter_pyserve.engine.metrics import Metrics
from jupyter_pyserve.engine.stub_calls import StubServices
from jupyter_pyserve.model.statistics import ModelStatistics
from jupyter_pyserve.settings import MetricsSettings


def version(name: str, *, tags: dict[str, str] | None = None, catch_up: Callable[[], None] = lambda: None) -> Any:
    return SimpleNamespace(
        name=name,
        version=3,
        config=SimpleNamespace(metric_tags=tags or {}, response_cache=False),
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
