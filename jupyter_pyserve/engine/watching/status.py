"""What a status consists of: the engine's row and the models' rows, made from a service's own books."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.engine.watching.rows import cache_row, engine_figures, model_rows, process_of
from jupyter_pyserve.engine.watching.sampler import Sample, Sampler
from jupyter_pyserve.engine.watching.watch import Watch

if TYPE_CHECKING:
    from jupyter_pyserve.engine.service import Service


def watch(service: Service) -> Watch:
    """The status of a service for those who watch it."""
    registry, settings = service.registry, service.settings
    shelf = service.recorder.shelf
    repositories = [os.path.abspath(item) for item in settings.model_repositories]

    def engine(sample: Sample | None) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "version": service.version,
            "started_at": service.started_at,
            "state": "READY" if service.accepting else "STARTING",
            "repositories": repositories,
            "cache": cache_row(service.cache),
            **service.urls,
            "shared": service.shared.rows(),
            **engine_figures(sample, host_too=settings.metrics.cpu),
        }

    def models(sample: Sample | None) -> Iterator[dict[str, Any] | None]:
        for _, entry in sorted(registry.entries.items()):
            for row in model_rows(entry, sample):
                yield None if row is None else {**row, "recordings": shelf.count(entry.name)}

    return Watch(
        Sampler(settings.metrics.visible_gpus),
        engine=engine,
        models=models,
        processes=lambda: map(process_of, registry.all_instances()),
    )
