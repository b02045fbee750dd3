"""From a model as it lies on disk to versions that run: all of them, beside each other, or none.

Knows nothing of what becomes of them, or of those that ran before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from jupyter_pyserve.engine.ensembles.ensemble import Lookup
from jupyter_pyserve.engine.repository.disk import ModelSource, same_version
from jupyter_pyserve.engine.repository.entries import ModelEntry
from jupyter_pyserve.engine.repository.kinds import new_ensemble, new_servable
from jupyter_pyserve.engine.repository.load_errors import LoadError
from jupyter_pyserve.engine.versions.launcher import LoadFailure, Progress, ServableContext, VersionFailure
from jupyter_pyserve.engine.versions.loaded import LoadedVersion

_log = logging.getLogger(__name__)

_OUTDATED = "Newer operation has been applied to the model lifecycle, current load operation is out-dated."


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts versions; those of ensembles find who carries out their steps by `member`."""

    context: ServableContext
    member: Lookup

    async def start(
        self, entry: ModelEntry, source: ModelSource, progress: Progress, kept: Mapping[int, LoadedVersion]
    ) -> dict[int, LoadedVersion]:
        """Load the versions of a model; raises `LoadError` when one cannot be. Those `kept` change in place."""
        if not source.versions:
            raise LoadError(
                {}, f"at least one version must be available under the version policy of model '{source.name}'\n"
            )
        if source.config.ensemble_scheduling is not None:
            return await self._start_ensemble(entry, source, progress)
        wanted = [version for version in source.versions if version not in kept]
        started, failures = await self._start_versions(entry, source, progress, wanted)
        for _ in range(self.context.settings.load_retry_count):
            if failures and not entry.outdated:
                again, failures = await self._start_versions(entry, source, progress, list(failures))
                started |= again
        if not failures:
            failures = await _failures({version: item.update(source.config) for version, item in kept.items()})
        if not failures:
            return {**started, **kept}
        await asyncio.gather(*(item.stop(1.0) for item in started.values()))
        unexpected = [item for item in failures.values() if not isinstance(item, LoadFailure)]
        if unexpected:
            raise unexpected[0]
        if entry.outdated:
            raise LoadError(dict.fromkeys(failures, LoadFailure(_OUTDATED)))
        raise LoadError({version: item for version, item in failures.items() if isinstance(item, LoadFailure)})

    async def _start_versions(
        self, entry: ModelEntry, source: ModelSource, progress: Progress, versions: list[int]
    ) -> tuple[dict[int, LoadedVersion], dict[int, BaseException]]:
        """Those that could be started, and why the others could not."""
        servables: dict[int, LoadedVersion] = {
            version: new_servable(self.context, source.config, version, source.model_dir) for version in versions
        }
        for version, servable in servables.items():
            servable.namespace = entry.namespace
            _log.info("loading: %s:%d", entry.identity, version)
        entry.loading, entry.outdated = list(servables.values()), False
        try:
            failures = await _failures({version: item.start(progress) for version, item in servables.items()})
        finally:
            entry.loading = []
        return {version: item for version, item in servables.items() if version not in failures}, failures

    async def _start_ensemble(
        self, entry: ModelEntry, source: ModelSource, progress: Progress
    ) -> dict[int, LoadedVersion]:
        versions: dict[int, LoadedVersion] = {
            version: new_ensemble(self.context, source.config, version, source.model_dir, self.member)
            for version in source.versions
        }
        try:
            for version in versions.values():
                version.namespace = entry.namespace
                _log.info("loading: %s:%d", entry.identity, version.version)
                await version.start(progress)
        except VersionFailure as failure:
            raise LoadError({failure.version: failure}) from failure
        except LoadFailure as failure:
            raise LoadError({}, f"{failure.text}\n") from failure
        return versions


def kept(entry: ModelEntry, source: ModelSource) -> dict[int, LoadedVersion]:
    """The versions that go on when `source` is loaded: at most their instances become others or more or fewer."""
    if source.config.ensemble_scheduling is not None:
        return {}
    return {
        version: servable
        for version, servable in entry.servables()
        if version in source.versions
        and same_version(entry.signature, source.signature, version)
        and servable.source_config.differs_in_instances_only(source.config)
    }


async def _failures(work: Mapping[int, Awaitable[None]]) -> dict[int, BaseException]:
    """What came of doing something for several versions at once, by their numbers."""
    results = await asyncio.gather(*work.values(), return_exceptions=True)
    return {number: result for number, result in zip(work, results) if result is not None}
