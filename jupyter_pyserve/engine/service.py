"""The only door of the engine: everything that a transport may ask, in domain terms.

Composes registry, zygote, logs and status. Knows no transport: values in, values out, domain errors raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.debugging.attach import Debuggers
from jupyter_pyserve.engine.debugging.recorder import Mode, Recorder
from jupyter_pyserve.engine.devices.courier import Courier
from jupyter_pyserve.engine.environments.store import Environments
from jupyter_pyserve.engine.logs import LogBook
from jupyter_pyserve.engine.memory.region import Region
from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.engine.metrics import Metrics
from jupyter_pyserve.engine.operations import Operations
from jupyter_pyserve.engine.peers.model_control import ModelControl
from jupyter_pyserve.engine.peers.shared_arrays import SharedArrays
from jupyter_pyserve.engine.peers.stub import StubPeers
from jupyter_pyserve.engine.readiness import agrees, is_asked
from jupyter_pyserve.engine.repository import deploys
from jupyter_pyserve.engine.repository.directory import parse_version
from jupyter_pyserve.engine.repository.disk import Deployment
from jupyter_pyserve.engine.repository.entries import UNLOADED, ModelEntry
from jupyter_pyserve.engine.repository.overrides import Homes, Override
from jupyter_pyserve.engine.repository.polling import Poller, load_all
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.scheduling.rates import Rates
from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.engine.stubs.callbacks import StubServices
from jupyter_pyserve.engine.stubs.zygote import Zygote
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.engine.versions.launcher import LoadFailure, ServableContext
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.engine.watching import status
from jupyter_pyserve.engine.watching.rows import model_row
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity, check_model_name
from jupyter_pyserve.model.lifecycle import VersionState
from jupyter_pyserve.model.messages import model_config_messages
from jupyter_pyserve.settings import ControlMode, EngineSettings

_log = logging.getLogger(__name__)

_STATE_FILE = "state.json"
_MOST_INSTANCES = 1024


class Service:
    """A running engine."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        log: ServerLog,
        output: TextIO | None,
        marked: bool = False,
        runtime_dir: str | None = None,
    ) -> None:
        self.settings = settings
        self.log = log
        self.logs = LogBook(output, log, marked=marked)
        self.traces = TraceBook(settings.trace)
        self.zygote = Zygote()
        self.started_at = time.time()
        self.accepting = False
        self.version = _version()
        self.urls: dict[str, str | None] = {"http_url": None, "grpc_url": None, "metrics_url": None}
        self._state_file = Path(runtime_dir, _STATE_FILE) if runtime_dir is not None else None
        services = StubServices()
        self.recorder = Recorder()
        self.environments = Environments()
        self.regions = ClientRegions(Courier(), enabled=settings.allow_client_shm, on_forgotten=self._detach)
        self.cache = ResponseCache(settings.cache_nbytes) if settings.cache_nbytes is not None else None
        context = ServableContext(
            zygote=self.zygote,
            environments=self.environments,
            logs=self.logs,
            settings=settings,
            regions=self.regions,
            services=services,
            cache=self.cache,
            recorder=self.recorder,
            rates=Rates(settings) if settings.rate_limit else None,
            traces=self.traces,
        )
        self.registry = Registry(context, self._changed, Homes(runtime_dir))
        self.lookup = self.registry.lookup
        self._poller = Poller(self.registry.repositories, self.registry, settings)
        self._polling: asyncio.Task[None] | None = None
        self.debuggers = Debuggers(self.registry)
        self._metrics = Metrics(settings.metrics, services, cache=self.cache)
        peers = StubPeers(self, services)
        services.inference = peers.take
        services.forked = peers.forked
        services.offer({}, peers.ended)
        ModelControl(self).serve(services)
        self.shared = SharedArrays()
        self.shared.serve(services)
        self.watch = status.watch(self)

    def _detach(self, region: Region) -> None:
        for servable in self.registry.all_servables():
            servable.detach([region.id])

    @functools.cached_property
    def operations(self) -> Operations:
        """What a person does to models that serve."""
        return Operations(self.registry, next(iter(self.settings.model_repositories), ""))

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start what stubs are made from and load what is to be loaded; raises when that is an error at start."""
        self.registry.undecided = True
        self.traces.start()
        self.environments.sweep()
        await asyncio.gather(self.zygote.start(), asyncio.to_thread(model_config_messages))
        await asyncio.to_thread(self._require_repositories)
        wanted = await asyncio.to_thread(self._startup_models)
        self.registry.starting.update(map(str, wanted))
        self.registry.undecided = False
        failed = await load_all(self.registry, wanted, self.settings.load_thread_count)
        self._poller.tried(wanted, failed)
        if failed:
            if self.settings.exit_on_error:
                raise PyServeError(Code.INTERNAL, "failed to load all models")
            _log.error("Internal: failed to load all models")
        self.accepting = True
        if self.settings.control_mode is ControlMode.POLL and self.settings.poll_interval_s > 0:
            self._polling = asyncio.ensure_future(self._poller.run())

    def _require_repositories(self) -> None:
        for repository in self.settings.model_repositories:
            if not os.path.isdir(repository):
                raise PyServeError(Code.INTERNAL, f"failed to stat file {repository}")

    def _startup_models(self) -> list[Identity]:
        present, doubtful = self._poller.start()
        if self.settings.control_mode is not ControlMode.EXPLICIT:
            return [*present, *doubtful]
        named = set(self.settings.load_models)
        if "*" in named:
            return [*present, *doubtful]
        remembered = set(self._remembered())
        found = [item for item in present if item.name in named | remembered]
        return [*found, *(Identity("", name) for name in named - {item.name for item in found})]

    def _remembered(self) -> list[str]:
        if self._state_file is None:
            return []
        with contextlib.suppress(OSError, ValueError):
            names = json.loads(self._state_file.read_text())["loaded"]
            return [name for name in names if isinstance(name, str)]
        return []

    def _changed(self) -> None:
        """Remember what is loaded, so that an engine that is started again after a crash loads it again."""
        if self._state_file is None or not self.accepting:
            return
        loaded = {entry.name for entry in self.registry.entries.values() if entry.servables()}
        temporary = self._state_file.with_suffix(".new")
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps({"loaded": sorted(loaded)}))
            temporary.replace(self._state_file)

    async def close(self) -> None:
        """Unload everything, then let the zygote go."""
        self.accepting = False
        self.watch.close()
        self.environments.abandon()
        if self._polling is not None:
            self._polling.cancel()
        await self.registry.close()
        await self.traces.close()
        await self.zygote.close(5.0)
        await self.environments.close()
        self.regions.close()
        self.shared.close()

    # -- health and metadata ------------------------------------------------------------------------------------------

    def server_ready(self) -> bool:
        """Strict readiness: every version that should be served can be, and every model that was loaded has one."""
        if not self.accepting:
            return False
        if not self.settings.strict_readiness:
            return True
        if self.registry.versionless:
            return False
        for entry in self.registry.entries.values():
            for record in entry.versions.values():
                if record.servable is not None:
                    if not record.servable.ready:
                        return False
                elif record.state is not VersionState.UNAVAILABLE or record.reason != UNLOADED:
                    return False
        return True

    def model_ready(self, name: str, version: str = "") -> bool:
        """Whether a request to this version would be executed now; raises NOT_FOUND for a model nobody ever loaded."""
        entries = list(self.registry.named(name))
        if not entries:
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        number = parse_version(version) if version else None
        try:
            return self.lookup(name, version).ready
        except PyServeError:
            if number is not None and not any(number in entry.versions for entry in entries):
                raise
            return False

    def models_are_asked(self, name: str = "", version: str = "") -> bool:
        """Whether readiness, of one model or of all, is also for models to say; else there is nothing to wait for."""
        return any(is_asked(item) for item in self._ready_now(name, version))

    async def is_model_ready(self, name: str, version: str = "") -> bool:
        """Like `model_ready`; and a model that defines `is_ready` says so."""
        if not self.model_ready(name, version):
            return False
        return all(await asyncio.gather(*(agrees(item) for item in self._ready_now(name, version))))

    async def is_server_ready(self) -> bool:
        """Like `server_ready`; under strict readiness every model says so."""
        if not self.server_ready() or not self.settings.strict_readiness:
            return self.server_ready()
        return all(await asyncio.gather(*(agrees(item) for item in self._ready_now())))

    def _ready_now(self, name: str = "", version: str = "") -> list[LoadedVersion]:
        if not name:
            return self.registry.all_servables()
        try:
            return [self.lookup(name, version)]
        except PyServeError:
            return []

    def ready_versions(self, name: str, version: str = "") -> tuple[LoadedVersion, list[str]]:
        """What metadata is made of: the version to describe, and the versions to list."""
        servable = self.lookup(name, version)
        if version:
            return servable, [str(servable.version)]
        entry = self.registry.entries[str(servable.identity)]
        return servable, [str(number) for number, _ in entry.servables()]

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """Entries of `model_stats`."""
        servables = self.registry.all_servables()
        if name:
            servables = [item for item in servables if item.name == name]
            if not servables:
                raise PyServeError(Code.INVALID_ARG, f"requested model '{name}' is not available")
        if version:
            number = parse_version(version)
            servables = [item for item in servables if item.version == number]
            if not servables:
                raise PyServeError(Code.INVALID_ARG, f"requested model version is not available for model '{name}'")
        return [item.statistics.to_json_dict(name=item.name, version=str(item.version)) for item in servables]

    async def metrics(self) -> str:
        """The text of a scrape."""
        return await self._metrics.scrape(self.registry.all_servables)

    # -- repository ---------------------------------------------------------------------------------------------------

    def index(self) -> list[dict[str, str]]:
        """Rows of the repository index."""
        return self.registry.index()

    async def load(self, name: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        """Load or reload a model from its repository, or with a configuration (JSON text) and files in place of it.

        Files are named by their path inside the model's directory, without a `file:` before it.
        """
        self._require_explicit()
        check_model_name(name)
        try:
            override = Override.of(config, files)
        except PyServeError as error:
            _log.error("Poll failed for model directory '%s': %s", name, error.message)
            text = f"failed to load '{name}', failed to poll from model repository"
            raise PyServeError(Code.INTERNAL, text) from error
        await self.registry.load(name, override)

    async def unload(self, name: str, *, unload_dependents: bool = False) -> None:
        """Unload a model; returns before its last requests are answered."""
        self._require_explicit()
        await self.registry.unload(name, with_members=unload_dependents)

    def _require_explicit(self) -> None:
        if self.settings.control_mode is not ControlMode.EXPLICIT:
            raise PyServeError(Code.UNAVAILABLE, "explicit model load / unload is not allowed if polling is enabled")

    # -- settings -----------------------------------------------------------------------------------------------------

    def require_known_to_trace(self, name: str) -> None:
        """Raise for a model that trace settings can't be made for."""
        if not any(entry.servables() for entry in self.registry.named(name)):
            raise PyServeError(Code.INVALID_ARG, f"Request for unknown model : {name}")

    # -- the notebook's side ------------------------------------------------------------------------------------------

    def deploy(self, name: str, source: str, config: str | None, owner: str | None) -> AsyncIterator[dict[str, Any]]:
        """Write and load a new version; the events of it, the last of which is "ready" or "error"."""
        self._require_explicit()
        check_model_name(name)
        deployment = Deployment(self.settings.model_repositories[0], name, source, config, owner)
        return deploys.watch(self.registry, deployment, owner, describe=model_row, logs=self.logs)

    async def undeploy(self, name: str, *, delete: bool, force: bool = False) -> None:
        """Unload a model and, if asked, remove its directory; `force` does not wait for its last requests."""
        self._require_explicit()
        check_model_name(name)
        if not any(self.registry.named(name)):
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        await (self.registry.remove(name) if delete else self.registry.unload(name))
        if force:
            await self.registry.kill(name)
        if delete:
            self.logs.forget(name)
            self.recorder.forget(name)

    async def restart(self, name: str, *, force: bool = False) -> None:
        """Start the instances of a model anew without a failed request; `force` ends them at once instead."""
        entry = self._entry(name)
        if force:
            await self.registry.kill(name)
            return
        if not entry.serves_all():
            await self.registry.load(name)
        try:
            for _, servable in entry.servables():
                await servable.restart()
        except LoadFailure as failure:
            raise PyServeError(Code.INTERNAL, f"restart failed for model '{name}': {failure.text}") from failure

    async def scale(self, name: str, count: int) -> None:
        """Have so many instances of a model (of its first instance group) without a failed request."""
        if not 1 <= count <= _MOST_INSTANCES:
            text = f"model '{name}' can have from 1 to {_MOST_INSTANCES} instances, not {count}"
            raise PyServeError(Code.INVALID_ARG, text)
        if not any(servable.instances for _, servable in self._entry(name).servables()):
            raise PyServeError(Code.INVALID_ARG, f"model '{name}' has no instances at present")
        await self.registry.scale(name, count)

    def record(self, name: str, mode: Mode, limit: int | None) -> None:
        """Choose which requests of a model are kept, to be run again."""
        entry = self._entry(name)
        self.recorder.choose(name, mode, limit)
        for _, servable in entry.held():
            servable.look_at_recorder()

    def dump_stacks(self, name: str) -> None:
        """Make every stub of a model write the stacks of its threads to its log."""
        for _, servable in self._entry(name).servables():
            for instance in servable.instances:
                instance.process.dump_stacks()

    def _entry(self, name: str) -> ModelEntry:
        entry = self.registry.find(name)
        if entry is None:
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return entry

    def status(self) -> dict[str, Any]:
        """The engine and all models, for showing; `watch` has what must be sampled too."""
        return self.watch.now()


def _version() -> str:
    from jupyter_pyserve import __version__

    return __version__
