"""What a scrape finds: the metrics of loaded versions, of the machine and of the models' own making, at this moment.

Nothing is collected in between, so metrics cost nothing until somebody asks for them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence

from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.custom_metrics import CustomMetrics
from jupyter_pyserve.engine.stubs.callbacks import StubServices
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.settings import MetricsSettings
from jupyter_pyserve.telemetry.cache import CacheFacts, cache_families
from jupyter_pyserve.telemetry.exposition import Family, Kind, render_parts
from jupyter_pyserve.telemetry.gpus import GpuFacts, Gpus, gpu_families
from jupyter_pyserve.telemetry.machine import Machine
from jupyter_pyserve.telemetry.models import ModelRow, latency_families, model_families

#: So many versions are caught up with in one piece of a scrape.
_AT_ONCE = 16


class Metrics:
    """All metrics of an engine. `versions` are those that requests may reach."""

    def __init__(
        self,
        settings: MetricsSettings,
        services: StubServices,
        gpus: Callable[[str | None], Gpus] = Gpus,
        cache: ResponseCache | None = None,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._machine = Machine(settings.interval_s)
        self._machine.facts(time.monotonic())  # utilization counts from here
        self._find_gpus = gpus
        self._gpus: Gpus | None = None
        self._gpu_facts: list[GpuFacts] = []
        self._gpus_read_s = -math.inf
        self._custom = CustomMetrics(self._own(()))
        self._custom.serve(services)

    async def scrape(self, versions: Callable[[], Sequence[LoadedVersion]]) -> str:
        """The exposition, with GPUs as they were at most an interval ago."""
        now_s = time.monotonic()
        wanted = self._settings.gpu and (self._gpus is None or self._gpus.present)
        if wanted and now_s - self._gpus_read_s >= self._settings.interval_s:
            self._gpus_read_s = now_s
            self._gpu_facts = await asyncio.to_thread(self._read_gpus)
        parts: list[str] = []
        for part in self._parts(versions()):
            parts.append(part)
            await asyncio.sleep(0)  # requests that came meanwhile do not wait for the whole of it
        return "".join(parts)

    def _read_gpus(self) -> list[GpuFacts]:
        if self._gpus is None:
            self._gpus = self._find_gpus(self._settings.visible_gpus)
        return self._gpus.read()

    def text(self, versions: Sequence[LoadedVersion]) -> str:
        """The exposition."""
        return "".join(self._parts(versions))

    def _parts(self, versions: Sequence[LoadedVersion]) -> Iterator[str]:
        """The exposition, in pieces (some of them empty) that take little time each."""
        for number, version in enumerate(versions, 1):
            for instance in version.instances:
                instance.catch_up()  # what a model counted before somebody looked is counted
            if number % _AT_ONCE == 0:
                yield ""
        families: dict[str, Family] = {}
        for family in self._own(versions):
            families[family.name] = family
            yield ""
        self._custom.add_to(families)
        yield from render_parts(families.values())

    def _own(self, versions: Sequence[LoadedVersion]) -> Iterator[Family]:
        rows = [_row(version) for version in versions]
        yield from model_families(rows, counting=self._settings.counter_latencies)
        yield from latency_families(rows, self._settings.summary_quantiles, int(time.time() * 1000))
        yield from (_gauge(*item) for item in self._server_gauges())
        yield from gpu_families(self._gpu_facts)
        if self._cache is not None:
            yield from cache_families(_cache_facts(self._cache))

    def _server_gauges(self) -> list[tuple[str, str, float]]:
        gauges: list[tuple[str, str, float]] = [
            (
                "nv_pinned_memory_pool_total_bytes",
                "Pinned memory pool total memory size, in bytes",
                self._settings.pinned_pool_nbytes,
            ),
            # There is no such pool here, so none of what was asked for is ever in use.
            ("nv_pinned_memory_pool_used_bytes", "Pinned memory pool used memory size, in bytes", 0),
        ]
        if self._settings.cpu:
            facts = self._machine.facts(time.monotonic())
            gauges += [
                ("nv_cpu_utilization", "CPU utilization rate [0.0 - 1.0]", facts.cpu_utilization),
                ("nv_cpu_memory_total_bytes", "CPU total memory (RAM), in bytes", facts.memory_total),
                ("nv_cpu_memory_used_bytes", "CPU used memory (RAM), in bytes", facts.memory_used),
            ]
        return gauges


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(name, Kind.GAUGE, text, {"": value})


def _cache_facts(cache: ResponseCache) -> CacheFacts:
    figures = cache.figures
    return CacheFacts(
        utilization=round(cache.used_nbytes / cache.limit_nbytes, 6),
        entries=len(cache),
        hits=figures.hits,
        misses=figures.misses,
        lookups=figures.hits + figures.misses,
        evictions=figures.evictions,
        lookup_us=figures.lookup_ns // 1000,
        insertion_us=figures.insertion_ns // 1000,
    )


def _row(version: LoadedVersion) -> ModelRow:
    config = version.config
    tags = {f"_{key}": value for key, value in config.metric_tags.items()}
    namespace = {"namespace": version.namespace} if version.namespace else {}
    return ModelRow(
        labels={**tags, "model": version.name, **namespace, "version": str(version.version)},
        statistics=version.statistics,
        pending=version.pending,
        load_s=version.load_s,
        cached=version.answers is not None,
    )
