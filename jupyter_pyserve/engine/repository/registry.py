"""Which models are loaded, and the way from one set of versions to the next without a failed request.

Loads beside what is running and swaps when everything is ready; drains and unloads what was replaced. Knows nothing of
protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from jupyter_pyserve.engine.repository.deploy_history import history
from jupyter_pyserve.engine.repository.directory import Directory
from jupyter_pyserve.engine.repository.disk import (
    Deployment,
    ModelSource,
    Repositories,
    delete_model,
    read_directory,
    write_count,
)
from jupyter_pyserve.engine.repository.entries import UNLOADED, ModelEntry, VersionRecord
from jupyter_pyserve.engine.repository.load_errors import LoadError
from jupyter_pyserve.engine.repository.members import (
    CircularEnsembles,
    Dependents,
    member_names,
    members_in,
    misfit,
    without_member,
)
from jupyter_pyserve.engine.repository.overrides import Homes, Override
from jupyter_pyserve.engine.repository.starting import Starter, kept
from jupyter_pyserve.engine.versions.launcher import LoadFailure, Progress, ServableContext
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity, ModelConfig
from jupyter_pyserve.model.lifecycle import VersionEvent, VersionState

_log = logging.getLogger(__name__)


def _silent(stage: str, instance: str) -> None:
    """Nobody watches this load."""


class Registry(Directory):
    """All models of the engine, as they come and go."""

    def __init__(self, context: ServableContext, on_change: Callable[[], None], homes: Homes | None = None) -> None:
        settings = context.settings
        super().__init__(
            Repositories(
                settings.model_repositories,
                settings.model_namespacing,
                settings.model_config_name,
                settings.auto_complete,
                settings.gpu_count,
            )
        )
        self._homes = homes or Homes()
        self._settings = context.settings
        self._on_change = on_change
        self._retiring: dict[asyncio.Task[None], LoadedVersion] = {}
        self._dependents = Dependents(self.entries)
        self._starter = Starter(context, self.member)

    async def load(self, name: str, override: Override | None = None) -> None:
        """Load a model from its repository, or load it again if it changed; the old versions serve meanwhile.

        With an `override`, that is loaded; it stays until what the repository has changes, or the model is unloaded.
        With namespaces, every model of that name is loaded; raises the first error when all have been tried.
        """
        identities = await self._present(name) or [Identity("", name)]
        results = await asyncio.gather(
            *(self.load_one(identity, override) for identity in identities), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def load_one(self, identity: Identity, override: Override | None = None) -> None:
        """The same of one model."""
        async with self._hold(identity) as entry:
            try:
                await self._load(entry, _silent, override)
            except LoadError as error:
                raise error.as_domain_error(str(identity)) from error
            finally:
                self.starting.discard(str(identity))
        for _, version in entry.servables():
            await version.updated()
        for ensemble in self._dependents.to_revive(identity.name):
            with contextlib.suppress(PyServeError):  # it is logged, and the next member may be what was missing
                await self.load_one(ensemble)

    async def _present(self, name: str) -> list[Identity]:
        """The models of that name in the repositories; one that has left its repository goes if there are others."""
        places = await asyncio.to_thread(self.repositories.places)
        present = [identity for identity, paths in places.items() if identity.name == name and len(paths) == 1]
        if present and self.repositories.namespacing:
            for entry in list(self.named(name)):
                if entry.wanted and not entry.guest and entry.identity not in present:
                    await self.forget(entry.identity)
        return present

    async def _load(self, entry: ModelEntry, progress: Progress, override: Override | None = None) -> None:
        identity = entry.identity
        self._dependents.settled(identity)
        try:
            source = await asyncio.to_thread(self._read, identity, override)
        except PyServeError as error:
            polled = error.message.startswith("failed to poll")
            _log.error(
                "%s", error.message if polled else f"Poll failed for model directory '{identity}': {error.message}"
            )
            text = f"failed to load '{identity.name}', failed to poll from model repository"
            raise PyServeError(Code.INTERNAL, text) from error
        entry.wanted = True
        guest = override is not None and bool(override.files)
        servables: dict[int, LoadedVersion] = {}
        try:
            await self._load_members(entry, source.config)
            if source.signature == entry.signature and entry.serves_all() and override in (None, entry.override):
                return
            servables = await self._starter.start(entry, source, progress, kept(entry, source))
        except LoadError as error:
            entry.guest = guest
            if not source.versions and not entry.versions:
                self.versionless.add(identity)
            self._record_failure(entry, error)
            raise
        finally:
            if guest and servables:
                self._homes.hold(source.model_dir, servables.values())
            elif guest:
                await asyncio.to_thread(self._homes.remove, source.model_dir)
        entry.deploys = await asyncio.to_thread(history, source.model_dir)
        entry.signature, entry.override, entry.guest = source.signature, override, guest
        self._swap(entry, servables)

    def _read(self, identity: Identity, override: Override | None) -> ModelSource:
        """What is to be loaded; blocks."""
        if override is None or not override.files:
            return self.repositories.read(identity, config=override.config if override is not None else None)
        home = self._homes.lay_out(override.files)
        try:
            return read_directory(identity.name, home, config=override.config, gpu_count=self._settings.gpu_count)
        except BaseException:
            self._homes.remove(home)
            raise

    async def _load_members(self, entry: ModelEntry, config: ModelConfig) -> None:
        """Load what an ensemble is made of, or load it again if it changed; nothing for other models."""
        names = member_names(config)
        if not names:
            return
        present = [identity for name in names for identity in await self._present(name)]
        present += [other.identity for name in names for other in self.named(name) if other.servables()]
        present = list(dict.fromkeys(present))
        needed = members_in(config, entry.namespace, present)
        for member in present:
            with self._dependents.waiting(entry.identity, member):
                try:
                    await self._load_member(member)
                except LoadError as error:
                    if member in needed or isinstance(error, CircularEnsembles):
                        raise without_member(entry.identity, member, error) from error

    async def _load_member(self, member: Identity) -> None:
        """Load it, or again if it changed; that it cannot be does not matter as long as it serves as it was."""
        async with self._hold(member) as entry:
            try:
                await self._load(entry, _silent, entry.override)
            except CircularEnsembles:
                raise
            except (LoadError, PyServeError) as error:
                if entry.servables():
                    return
                if isinstance(error, PyServeError):
                    raise LoadError({}, error.message) from error
                raise

    async def deploy(self, deployment: Deployment, progress: Progress, owner: str | None) -> tuple[ModelEntry, bool]:
        """Make and load a new version; whether it was already so. On failure nothing has changed anywhere.

        A load of this model that is in progress is given up, since nobody wants its outcome any more.
        """
        identity = self.repositories.identity(0, deployment.name)
        self._give_up_loading(identity)
        async with self._hold(identity) as entry:
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
                await self._load_members(entry, source.config)
                servables = await self._starter.start(entry, source, progress, {})
                progress("swap", "")
                entry.signature = await asyncio.to_thread(deployment.commit)
                entry.deploys = await asyncio.to_thread(history, deployment.model_dir)
                entry.override = None
            except BaseException as error:
                await asyncio.to_thread(deployment.roll_back)
                await asyncio.gather(*(item.stop(1.0) for item in servables.values()))
                if isinstance(error, LoadError):
                    raise error.failure_of(str(identity)) from error
                raise
            entry.owner, entry.deployed, entry.wanted = owner, True, True
            self._swap(entry, servables)
            return entry, False

    async def scale(self, name: str, count: int) -> None:
        """Have so many instances in the first group of a model; returns when the new ones serve, and no request fails.

        A deployed model's configuration says so from then on; another's does not, but stays as it is until its files
        change.
        """
        found = self.find(name)
        async with self._hold(found.identity if found is not None else Identity("", name)) as entry:
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
        lacking = [identity for identity in self.versionless if identity.name == name]
        for identity in [*lacking, *(entry.identity for entry in self.named(name))]:
            await self._unload_one(identity, with_members=with_members)

    async def _unload_one(self, identity: Identity, *, with_members: bool = False) -> None:
        self._give_up_loading(identity)
        async with self._hold(identity) as entry:
            self._dependents.settled(identity)
            members = self._dependents.members(entry)
            self._unload(entry)
        for member in members if with_members else ():
            if not any(self._dependents.of(member)):
                await self._unload_one(member, with_members=True)

    async def forget(self, identity: Identity) -> None:
        """Unload a model that is in no repository any more: the index does not show it, and readiness leaves it out."""
        self._give_up_loading(identity)
        async with self._hold(identity) as entry:
            self._dependents.settled(identity)
            entry.guest = True
            self._unload(entry)
            entry.drop_failed()

    async def remove(self, name: str) -> None:
        """Unload a model and delete it from the repository that deploys go to."""
        identity = self.repositories.identity(0, name)
        self._give_up_loading(identity)
        async with self._hold(identity) as entry:
            self._unload(entry)
            await asyncio.to_thread(delete_model, self._settings.model_repositories[0], name)
            entry.versions.clear()

    def _unload(self, entry: ModelEntry) -> None:
        dependents = list(self._dependents.of(entry.identity))
        entry.signature, entry.override, entry.wanted = (), None, False
        self.versionless.discard(entry.identity)
        for version, servable in entry.held():
            record = entry.versions[version]
            record.advance(VersionEvent.UNLOAD)
            record.servable = None
            self._retire(servable, record)
        self._changed()
        for ensemble, versions in dependents:
            if misfit(versions) is not None:  # with namespaces there may be another one of that name
                self._dependents.taken_down(ensemble, versions)
                self._unload(ensemble)

    def _give_up_loading(self, identity: Identity) -> None:
        entry = self.entries.get(str(identity))
        if entry is None:
            return
        entry.outdated = True
        for servable in entry.loading:
            servable.kill()
        for _, servable in entry.held():
            servable.abandon_update()

    async def kill(self, name: str) -> None:
        """End every process of a model now: those that serve are started again, all others are gone."""
        for entry in list(self.named(name)):
            self._give_up_loading(entry.identity)
        serving = [servable for entry in self.named(name) for _, servable in entry.held()]
        draining = [servable for servable in self._retiring.values() if servable.name == name]
        doomed = [instance for servable in (*serving, *draining) for instance in servable.kill()]
        await asyncio.gather(*(instance.gone() for instance in doomed))

    async def close(self) -> None:
        """Unload everything; what is not done after the exit timeout is ended."""
        for entry in list(self.entries.values()):
            await self._unload_one(entry.identity)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=self._settings.exit_timeout_s)
        left = dict(self._retiring)
        for task in left:
            task.cancel()
        await asyncio.gather(*(servable.stop(1.0) for servable in left.values()))
        await asyncio.to_thread(self._homes.close)

    @contextlib.asynccontextmanager
    async def _hold(self, identity: Identity) -> AsyncIterator[ModelEntry]:
        """A model's entry, changed by nobody else meanwhile; forgotten if nothing comes of it."""
        key = str(identity)
        while True:
            entry = self.entries.setdefault(key, ModelEntry(identity.name, identity.namespace))
            async with entry.lock:
                if self.entries.get(key) is not entry:
                    continue  # whoever had it before has forgotten it
                try:
                    yield entry
                except (LoadError, PyServeError) as error:
                    entry.loading_error = error.message(key) if isinstance(error, LoadError) else error.message
                    raise
                finally:
                    if not entry.versions:
                        del self.entries[key]
                return

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
        self.versionless.discard(entry.identity)
        for version, servable in servables.items():
            entry.versions[version] = VersionRecord(VersionState.READY, servable=servable)
        self._changed()
        for ensemble, ensembles, failure in self._dependents.no_longer_fit(entry.name):
            _log.error("ensemble '%s' is unloaded: %s", ensemble.identity, failure.text)
            self._dependents.taken_down(ensemble, ensembles)
            self._unload(ensemble)
        _log.info("successfully loaded '%s'", entry.identity)

    def _retire(self, servable: LoadedVersion, record: VersionRecord | None) -> None:
        async def drain_and_stop() -> None:
            await servable.drain(self._settings.drain_timeout_s)
            await servable.stop(self._settings.exit_timeout_s)
            home = self._homes.leave(servable)
            if home is not None:
                await asyncio.to_thread(self._homes.remove, home)
            if record is not None:
                record.advance(VersionEvent.UNLOADED, UNLOADED)
                self._changed()
            _log.info("successfully unloaded '%s' version %d", servable.identity, servable.version)

        task = asyncio.get_running_loop().create_task(drain_and_stop())
        self._retiring[task] = servable
        task.add_done_callback(self._retiring.pop)

    def _record_failure(self, entry: ModelEntry, error: LoadError) -> None:
        for version, failure in error.failures.items():
            _log.error("failed to load '%s' version %d: %s: %s", entry.identity, version, failure.kind, failure.text)
            known = entry.versions.get(version)
            if known is None or known.servable is None:
                entry.versions[version] = VersionRecord(
                    VersionState.UNAVAILABLE, reason=f"{failure.kind}: {failure.text}"
                )
        _log.info("failed to load '%s'", entry.identity)
        self._changed()

    def _changed(self) -> None:
        self.routes.clear()
        self._on_change()
