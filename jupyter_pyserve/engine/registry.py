"""Which models are loaded, and the way from one set of versions to the next without a failed request.

Loads beside what is running and swaps when everything is ready; drains and unloads what was replaced. Knows nothing of
protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from jupyter_pyserve.engine.cache.versions import new_ensemble, new_servable
from jupyter_pyserve.engine.directory import Directory
from jupyter_pyserve.engine.entries import ModelEntry, VersionRecord
from jupyter_pyserve.engine.launcher import LoadFailure, Progress, ServableContext, VersionFailure
from jupyter_pyserve.engine.load_errors import LoadError
from jupyter_pyserve.engine.loaded import LoadedVersion
from jupyter_pyserve.engine.members import (
    Dependents,
    check_present,
    member_names,
    without_member,
)
from jupyter_pyserve.engine.overrides import Homes, Override
from jupyter_pyserve.engine.repository import (
    Deployment,
    ModelSource,
    delete_model,
    list_models,
    read_directory,
    read_model,
    same_version,
    write_count,
)
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.lifecycle import VersionEvent, VersionState

_log = logging.getLogger(__name__)

_OUTDATED = "Newer operation has been applied to the model lifecycle, current load operation is out-dated."


def _silent(stage: str, instance: str) -> None:
    """Nobody watches this load."""


class Registry(Directory):
    """All models of the engine, as they come and go."""

    def __init__(self, context: ServableContext, on_change: Callable[[], None], homes: Homes | None = None) -> None:
        super().__init__(context.settings.model_repositories)
        self._context = context
        self._homes = homes or Homes()
        self._settings = context.settings
        self._on_change = on_change
        self._retiring: dict[asyncio.Task[None], LoadedVersion] = {}
        self._dependents = Dependents(self.entries)

    async def load(self, name: str, override: Override | None = None) -> None:
        """Load a model from its repository, or load it again if it changed; the old versions serve meanwhile.

        With an `override`, that is loaded; it stays until what the repository has changes, or the model is unloaded.
        """
        async with self._hold(name) as entry:
            try:
                await self._load(entry, _silent, override)
            except LoadError as error:
                raise error.as_domain_error(name) from error
        for _, version in entry.servables():
            await version.updated()
        for ensemble in self._dependents.to_revive(name):
            with contextlib.suppress(PyServeError):  # it is logged, and the next member may be what was missing
                await self.load(ensemble)

    async def _load(self, entry: ModelEntry, progress: Progress, override: Override | None = None) -> None:
        name = entry.name
        self._dependents.settled(name)
        try:
            source = await asyncio.to_thread(self._read, name, override)
        except PyServeError as error:
            _log.error("Poll failed for model directory '%s': %s", name, error.message)
            text = f"failed to load '{name}', failed to poll from model repository"
            raise PyServeError(Code.INTERNAL, text) from error
        if source.signature == entry.signature and entry.serves_all() and override in (None, entry.override):
            return
        guest = override is not None and bool(override.files)
        servables: dict[int, LoadedVersion] = {}
        try:
            servables = await self._start(entry, source, progress, kept(entry, source))
        except LoadError as error:
            entry.guest = guest
            self._record_failure(entry, error)
            raise
        finally:
            if guest and servables:
                self._homes.hold(source.model_dir, servables.values())
            elif guest:
                await asyncio.to_thread(self._homes.remove, source.model_dir)
        entry.signature, entry.override, entry.guest = source.signature, override, guest
        self._swap(entry, servables)

    def _read(self, name: str, override: Override | None) -> ModelSource:
        """What is to be loaded; blocks."""
        settings = self._settings
        if override is None or not override.files:
            config = override.config if override is not None else None
            return read_model(name, settings.model_repositories, config_name=settings.model_config_name, config=config)
        home = self._homes.lay_out(override.files)
        try:
            return read_directory(name, home, config=override.config)
        except BaseException:
            self._homes.remove(home)
            raise

    async def deploy(self, deployment: Deployment, progress: Progress, owner: str | None) -> tuple[ModelEntry, bool]:
        """Make and load a new version; whether it was already so. On failure nothing has changed anywhere.

        A load of this model that is in progress is given up, since nobody wants its outcome any more.
        """
        self._give_up_loading(deployment.name)
        async with self._hold(deployment.name) as entry:
            unchanged = await asyncio.to_thread(deployment.unchanged_version)
            if unchanged is not None:
                if entry.override is not None or not any(version == unchanged for version, _ in entry.servables()):
                    entry.signature = ()
                    await self._load(entry, progress)
                entry.owner = owner
                return entry, True
            progress("write", "")
            servables: dict[int, LoadedVersion] = {}
            try:
                source = await asyncio.to_thread(deployment.stage)
                progress("spawn", "")
                servables = await self._start(entry, source, progress, {})
                progress("swap", "")
                entry.signature = await asyncio.to_thread(deployment.commit)
                entry.override = None
            except BaseException as error:
                await asyncio.to_thread(deployment.roll_back)
                await asyncio.gather(*(item.stop(1.0) for item in servables.values()))
                if isinstance(error, LoadError):
                    raise error.failure_of(entry.name) from error
                raise
            entry.owner, entry.deployed = owner, True
            self._swap(entry, servables)
            return entry, False

    async def scale(self, name: str, count: int) -> None:
        """Have so many instances in the first group of a model; returns when the new ones serve, and no request fails.

        A deployed model's configuration says so from then on; another's does not, but stays as it is until its files
        change.
        """
        async with self._hold(name) as entry:
            try:
                for _, servable in entry.servables():
                    await servable.update(servable.source_config.with_count(count))
            except LoadFailure as failure:
                raise PyServeError(Code.INVALID_ARG, f"scale failed for model '{name}': {failure.text}") from failure
            if entry.deployed:
                entry.signature = await asyncio.to_thread(
                    write_count, self._settings.model_repositories[0], name, count
                )
            self._changed()

    async def unload(self, name: str, *, with_members: bool = False) -> None:
        """Take a model away from requests at once; it ends when the requests that it has are answered.

        `with_members`: and so do the members of an ensemble that no other ensemble uses.
        """
        if name not in self.entries:
            return
        self._give_up_loading(name)
        async with self._hold(name) as entry:
            self._dependents.settled(name)
            members = self._dependents.members(entry)
            self._unload(entry)
        for member in members if with_members else ():
            if not any(self._dependents.of(member)):
                await self.unload(member, with_members=True)

    async def remove(self, name: str) -> None:
        """Unload a model and delete it from the repository that deploys go to."""
        self._give_up_loading(name)
        async with self._hold(name) as entry:
            self._unload(entry)
            await asyncio.to_thread(delete_model, self._settings.model_repositories[0], name)
            entry.versions.clear()

    def _unload(self, entry: ModelEntry) -> None:
        entry.signature, entry.override = (), None
        for version, servable in entry.held():
            record = entry.versions[version]
            record.advance(VersionEvent.UNLOAD)
            record.servable = None
            self._retire(servable, record)
        self._changed()
        for ensemble, versions in self._dependents.of(entry.name):
            self._dependents.taken_down(ensemble, versions)
            self._unload(ensemble)

    def _give_up_loading(self, name: str) -> None:
        entry = self.entries.get(name)
        if entry is None:
            return
        entry.outdated = True
        for servable in entry.loading:
            servable.kill()
        for _, servable in entry.held():
            servable.abandon_update()

    async def kill(self, name: str) -> None:
        """End every process of a model now: those that serve are started again, all others are gone."""
        self._give_up_loading(name)
        entry = self.entries.get(name)
        serving = [servable for _, servable in entry.held()] if entry is not None else []
        draining = [servable for servable in self._retiring.values() if servable.name == name]
        doomed = [instance for servable in (*serving, *draining) for instance in servable.kill()]
        await asyncio.gather(*(instance.gone() for instance in doomed))

    async def close(self) -> None:
        """Unload everything; what is not done after the exit timeout is ended."""
        for name in list(self.entries):
            await self.unload(name)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=self._settings.exit_timeout_s)
        for task, servable in list(self._retiring.items()):
            task.cancel()
            await servable.stop(1.0)
        await asyncio.to_thread(self._homes.close)

    @contextlib.asynccontextmanager
    async def _hold(self, name: str) -> AsyncIterator[ModelEntry]:
        """A model's entry, changed by nobody else meanwhile; forgotten if nothing comes of it."""
        while True:
            entry = self.entries.setdefault(name, ModelEntry(name))
            async with entry.lock:
                if self.entries.get(name) is not entry:
                    continue  # whoever had it before has forgotten it
                try:
                    yield entry
                except (LoadError, PyServeError) as error:
                    entry.loading_error = error.message(name) if isinstance(error, LoadError) else error.message
                    raise
                finally:
                    if not entry.versions:
                        del self.entries[name]
                return

    async def _load_members(self, config: ModelConfig) -> None:
        members = member_names(config)
        places = await asyncio.to_thread(list_models, self._settings.model_repositories)
        check_present(config.name, [name for name in members if not self._is_loaded(name)], places)
        for member in members:
            with self._dependents.waiting(config.name, member):
                async with self._hold(member) as entry:
                    try:
                        await self._load(entry, _silent, entry.override)
                    except LoadError as error:
                        raise without_member(config.name, member, error) from error

    def _is_loaded(self, name: str) -> bool:
        entry = self.entries.get(name)
        return entry is not None and bool(entry.servables())

    async def _start(
        self, entry: ModelEntry, source: ModelSource, progress: Progress, kept: Mapping[int, LoadedVersion]
    ) -> dict[int, LoadedVersion]:
        """Load all versions beside each other; if one fails, none is used. Those that are `kept` change in place."""
        if not source.versions:
            raise LoadError(
                {}, f"at least one version must be available under the version policy of model '{source.name}'\n"
            )
        if source.config.ensemble_scheduling is not None:
            return await self._start_ensemble(source, progress)
        missing = _missing(source.config)
        if missing:
            raise LoadError(dict.fromkeys(source.versions, LoadFailure(missing, kind="Unsupported")))
        servables: dict[int, LoadedVersion] = {
            version: new_servable(self._context, source.config, version, source.model_dir)
            for version in source.versions
            if version not in kept
        }
        entry.loading, entry.outdated = list(servables.values()), False
        try:
            failures = await _failures({number: item.start(progress) for number, item in servables.items()})
            if not failures:
                failures = await _failures({number: item.update(source.config) for number, item in kept.items()})
        finally:
            entry.loading = []
        if not failures:
            return {**servables, **kept}
        await asyncio.gather(*(item.stop(1.0) for version, item in servables.items() if version not in failures))
        unexpected = [item for item in failures.values() if not isinstance(item, LoadFailure)]
        if unexpected:
            raise unexpected[0]
        if entry.outdated:
            raise LoadError(dict.fromkeys(failures, LoadFailure(_OUTDATED)))
        raise LoadError({version: item for version, item in failures.items() if isinstance(item, LoadFailure)})

    async def _start_ensemble(self, source: ModelSource, progress: Progress) -> dict[int, LoadedVersion]:
        await self._load_members(source.config)
        versions: dict[int, LoadedVersion] = {
            version: new_ensemble(self._context, source.config, version, source.model_dir, self.lookup)
            for version in source.versions
        }
        try:
            for version in versions.values():
                await version.start(progress)
        except VersionFailure as failure:
            raise LoadError({failure.version: failure}) from failure
        except LoadFailure as failure:
            raise LoadError({}, f"{failure.text}\n") from failure
        return versions

    def _swap(self, entry: ModelEntry, servables: dict[int, LoadedVersion]) -> None:
        for version, old in entry.held():
            record = entry.versions[version]
            if version not in servables:
                record.advance(VersionEvent.UNLOAD)
                record.servable = None
                self._retire(old, record)
            elif servables[version] is not old:
                self._retire(old, None)
        entry.loading_error = ""
        for version, servable in servables.items():
            entry.versions[version] = VersionRecord(VersionState.READY, servable=servable)
        self._changed()
        for ensemble, ensembles, failure in self._dependents.no_longer_fit(entry.name):
            _log.error("ensemble '%s' is unloaded: %s", ensemble.name, failure.text)
            self._dependents.taken_down(ensemble, ensembles)
            self._unload(ensemble)
        _log.info("successfully loaded '%s'", entry.name)

    def _retire(self, servable: LoadedVersion, record: VersionRecord | None) -> None:
        async def drain_and_stop() -> None:
            await servable.drain(self._settings.drain_timeout_s)
            await servable.stop(self._settings.exit_timeout_s)
            home = self._homes.leave(servable)
            if home is not None:
                await asyncio.to_thread(self._homes.remove, home)
            if record is not None:
                record.advance(VersionEvent.UNLOADED, "unloaded")
                self._changed()
            _log.info("successfully unloaded '%s' version %d", servable.name, servable.version)

        task = asyncio.get_running_loop().create_task(drain_and_stop())
        self._retiring[task] = servable
        task.add_done_callback(self._retiring.pop)

    def _record_failure(self, entry: ModelEntry, error: LoadError) -> None:
        for version, failure in error.failures.items():
            _log.error("failed to load '%s' version %d: %s: %s", entry.name, version, failure.kind, failure.text)
            known = entry.versions.get(version)
            if known is None or known.servable is None:
                entry.versions[version] = VersionRecord(
                    VersionState.UNAVAILABLE, reason=f"{failure.kind}: {failure.text}"
                )
        self._changed()

    def _changed(self) -> None:
        self.routes.clear()
        self._on_change()


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


def _missing(config: ModelConfig) -> str:
    """What a configuration asks for that this server does not have: serving without it would give wrong answers."""
    if config.sequence_batching is not None and config.sequence_batching.has_state:
        return f"implicit state, which model '{config.name}' asks for, is not supported by this server"
    return ""
