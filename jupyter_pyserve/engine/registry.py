"""Which models are loaded, and the way from one set of versions to the next without a failed request.

Loads beside what is running and swaps when everything is ready; drains and unloads what was replaced. Knows nothing of
protocols.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jupyter_pyserve.engine.launcher import LoadFailure, Progress, ServableContext
from jupyter_pyserve.engine.repository import Deployment, ModelSource, Signature, list_models, read_model
from jupyter_pyserve.engine.servable import Servable
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.lifecycle import VERSION, VersionEvent, VersionState, advance

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class VersionRecord:
    """What the index says of a version."""

    state: VersionState
    reason: str = ""
    servable: Servable | None = None

    def advance(self, event: VersionEvent, reason: str = "") -> None:
        """Take a step of the version's life."""
        self.state = advance(VERSION, self.state, event)
        self.reason = reason


@dataclass(slots=True)
class ModelEntry:
    """A model that was loaded at some time; `serving` is what requests see."""

    name: str
    versions: dict[int, VersionRecord] = field(default_factory=dict)
    signature: Signature = ()
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    owner: str | None = None
    deployed: bool = False

    def held(self) -> list[tuple[int, Servable]]:
        """The versions that have processes, ascending; one that was given up still holds what is left of them."""
        return [
            (version, record.servable)
            for version, record in sorted(self.versions.items())
            if record.servable is not None
        ]

    def servables(self) -> list[tuple[int, Servable]]:
        """The versions that requests may reach, ascending."""
        return [(version, servable) for version, servable in self.held() if servable.state is VersionState.READY]


def _silent(stage: str, instance: str) -> None:
    """Nobody watches this load."""


class Registry:
    """All models of the engine."""

    def __init__(self, context: ServableContext, on_change: Callable[[], None]) -> None:
        self._context = context
        self._settings = context.settings
        self._on_change = on_change
        self._retiring: dict[asyncio.Task[None], Servable] = {}
        self.entries: dict[str, ModelEntry] = {}
        #: (name, version text) -> servable; what the hot path looks into. Emptied at every change.
        self.routes: dict[tuple[str, str], Servable] = {}

    # -- look-up ------------------------------------------------------------------------------------------------------

    def lookup(self, name: str, version: str = "") -> Servable:
        """The version to ask (the highest ready one when none is given); raises Triton's NOT_FOUND and its kin."""
        found = self.routes.get((name, version))
        if found is not None and found.state is VersionState.READY:
            return found
        servable = self._resolve(name, version)
        self.routes[name, version] = servable
        return servable

    def _resolve(self, name: str, version: str) -> Servable:
        prefix = f"Request for unknown model: '{name}'"
        entry = self.entries.get(name)
        number = parse_version(version) if version else None
        if entry is None or not entry.versions:
            raise PyServeError(Code.NOT_FOUND, f"{prefix} is not found")
        ready = entry.servables()
        if number is None:
            if not ready:
                raise PyServeError(Code.NOT_FOUND, f"{prefix} has no available versions")
            return ready[-1][1]
        for present, servable in ready:
            if present == number:
                return servable
        if number in entry.versions:
            raise PyServeError(Code.UNAVAILABLE, f"{prefix} version {number} is not at ready state")
        raise PyServeError(Code.NOT_FOUND, f"{prefix} version {number} is not found")

    def all_servables(self) -> list[Servable]:
        """Every version that requests may reach, by name and number."""
        return [servable for _, entry in sorted(self.entries.items()) for _, servable in entry.servables()]

    def index(self) -> list[dict[str, str]]:
        """Rows of the repository index: every version that was ever loaded, and names of models that never were."""
        rows: list[dict[str, str]] = []
        for name in sorted({*self.entries, *(places := list_models(self._settings.model_repositories))}):
            entry = self.entries.get(name)
            if len(places.get(name, [])) > 1:
                rows.append(
                    {"name": name, "state": "UNAVAILABLE", "reason": "model appears in two or more repositories"}
                )
            elif entry is None or not entry.versions:
                rows.append({"name": name})
            else:
                rows += [_index_row(name, version, record) for version, record in sorted(entry.versions.items())]
        return rows

    # -- changes ------------------------------------------------------------------------------------------------------

    async def load(self, name: str) -> None:
        """Load a model from its repository, or load it again if it changed; the old versions serve meanwhile."""
        entry = self._entry(name)
        async with entry.lock:
            try:
                await self._load(entry, _silent)
            finally:
                self._forget_if_empty(entry)

    async def _load(self, entry: ModelEntry, progress: Progress) -> None:
        name, settings = entry.name, self._settings
        try:
            source = await asyncio.to_thread(
                read_model, name, settings.model_repositories, config_name=settings.model_config_name
            )
        except PyServeError as error:
            _log.error("%s", error.message)
            text = f"failed to load '{name}', failed to poll from model repository"
            raise PyServeError(Code.INTERNAL, text) from error
        if source.signature == entry.signature and entry.servables():
            return
        try:
            servables = await self._start(source, progress)
        except LoadError as error:
            self._record_failure(entry, error)
            raise error.as_domain_error(name) from error
        entry.signature = source.signature
        self._swap(entry, servables)

    async def deploy(self, deployment: Deployment, progress: Progress, owner: str | None) -> tuple[ModelEntry, bool]:
        """Make and load a new version; whether it was already so. On failure nothing has changed anywhere."""
        entry = self._entry(deployment.name)
        async with entry.lock:
            unchanged = await asyncio.to_thread(deployment.unchanged_version)
            if unchanged is not None:
                if not any(version == unchanged for version, _ in entry.servables()):
                    await self._load(entry, progress)
                entry.owner = owner
                return entry, True
            progress("write", "")
            try:
                source = await asyncio.to_thread(deployment.stage)
                progress("spawn", "")
                servables = await self._start(source, progress)
                progress("swap", "")
                entry.signature = await asyncio.to_thread(deployment.commit)
            except LoadError as error:
                await asyncio.to_thread(deployment.roll_back)
                self._forget_if_empty(entry)
                raise error.failure_of(entry.name) from error
            except BaseException:
                await asyncio.to_thread(deployment.roll_back)
                self._forget_if_empty(entry)
                raise
            entry.owner = owner
            entry.deployed = True
            self._swap(entry, servables)
            return entry, False

    async def unload(self, name: str) -> None:
        """Take a model away from requests at once; it ends when the requests that it has are answered."""
        entry = self.entries.get(name)
        if entry is None:
            return
        async with entry.lock:
            entry.signature = ()
            for version, servable in entry.held():
                record = entry.versions[version]
                record.advance(VersionEvent.UNLOAD)
                record.servable = None
                self._retire(servable, record)
            self._changed()

    async def close(self) -> None:
        """Unload everything; what is not done after the exit timeout is ended."""
        for name in list(self.entries):
            await self.unload(name)
        if self._retiring:
            await asyncio.wait(self._retiring, timeout=self._settings.exit_timeout_s)
        for task, servable in list(self._retiring.items()):
            task.cancel()
            await servable.stop(1.0)

    def _entry(self, name: str) -> ModelEntry:
        return self.entries.setdefault(name, ModelEntry(name))

    def _forget_if_empty(self, entry: ModelEntry) -> None:
        if not entry.versions:
            self.entries.pop(entry.name, None)

    async def _start(self, source: ModelSource, progress: Progress) -> dict[int, Servable]:
        """Load all versions beside each other; if one fails, none is used."""
        if not source.versions:
            raise LoadError(
                {}, f"at least one version must be available under the version policy of model '{source.name}'\n"
            )
        if source.config.backend != "python":
            text = (
                f"unable to find backend library for backend '{source.config.backend or source.config.platform}', try "
                "specifying runtime on the model configuration."
            )
            failure = LoadFailure(text, kind="Invalid argument")
            raise LoadError(dict.fromkeys(source.versions, failure))
        missing = _missing(source.config)
        if missing:
            raise LoadError(dict.fromkeys(source.versions, LoadFailure(missing, kind="Unsupported")))
        servables = {
            version: Servable(self._context, source.config, version, source.model_dir) for version in source.versions
        }
        results = await asyncio.gather(
            *(servable.start(progress) for servable in servables.values()), return_exceptions=True
        )
        failures = {version: result for version, result in zip(servables, results) if isinstance(result, BaseException)}
        if not failures:
            return servables
        await asyncio.gather(*(item.stop(1.0) for version, item in servables.items() if version not in failures))
        unexpected = [item for item in failures.values() if not isinstance(item, LoadFailure)]
        if unexpected:
            raise unexpected[0]
        raise LoadError({version: item for version, item in failures.items() if isinstance(item, LoadFailure)})

    def _swap(self, entry: ModelEntry, servables: dict[int, Servable]) -> None:
        for version, old in entry.held():
            record = entry.versions[version]
            if version not in servables:
                record.advance(VersionEvent.UNLOAD)
                record.servable = None
                self._retire(old, record)
            else:
                self._retire(old, None)
        for version, servable in servables.items():
            entry.versions[version] = VersionRecord(VersionState.READY, servable=servable)
        self._changed()
        _log.info("successfully loaded '%s'", entry.name)

    def _retire(self, servable: Servable, record: VersionRecord | None) -> None:
        async def drain_and_stop() -> None:
            await servable.drain()
            await servable.stop(self._settings.exit_timeout_s)
            if record is not None:
                record.advance(VersionEvent.UNLOADED, "unloaded")
                self._changed()
            _log.info("successfully unloaded '%s' version %d", servable.name, servable.version)

        task = asyncio.get_running_loop().create_task(drain_and_stop())
        self._retiring[task] = servable
        task.add_done_callback(self._retiring.pop)

    def _record_failure(self, entry: ModelEntry, error: LoadError) -> None:
        for version, failure in error.failures.items():
            known = entry.versions.get(version)
            if known is None or known.servable is None:
                entry.versions[version] = VersionRecord(
                    VersionState.UNAVAILABLE, reason=f"{failure.kind}: {failure.text}"
                )
        self._changed()

    def _changed(self) -> None:
        self.routes.clear()
        self._on_change()


class LoadError(Exception):
    """Some versions of a model could not be loaded, or (`text`) none was there to load."""

    def __init__(self, failures: dict[int, LoadFailure], text: str = "") -> None:
        super().__init__(text)
        self.failures = failures
        self.text = text

    def message(self, name: str) -> str:
        """Triton's text for the one who asked for the load."""
        parts = [
            f"version {version} is at UNAVAILABLE state: {failure.kind}: {failure.text};\n"
            for version, failure in sorted(self.failures.items())
        ]
        return f"load failed for model '{name}': {self.text}{''.join(parts)}"

    def as_domain_error(self, name: str) -> PyServeError:
        """What a client is told."""
        return PyServeError(Code.INVALID_ARG, self.message(name))

    def failure_of(self, name: str) -> DeployFailure:
        """What the one who deployed is told: the text, and where in the code it happened."""
        first = next(iter(self.failures.values()), None)
        return DeployFailure(
            self.message(name),
            exception=first.exception if first is not None else None,
            frames=first.frames if first is not None else [],
        )


class DeployFailure(PyServeError):
    """A deploy that failed, with the place in the deployed code."""

    def __init__(self, message: str, *, exception: str | None, frames: list[dict[str, Any]]) -> None:
        super().__init__(Code.INVALID_ARG, message)
        self.exception = exception
        self.frames = frames


def parse_version(text: str) -> int:
    """A version from its text, with Triton's error for one that is too large."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number < 2**63:
        raise PyServeError(
            Code.INVALID_ARG,
            f"failed to get model version from specified version string '{text}' (details: stol), "
            "version should be an integral value > 0",
        )
    return number


def _index_row(name: str, version: int, record: VersionRecord) -> dict[str, str]:
    state, reason = record.state, record.reason
    if record.servable is not None and record.servable.state is not VersionState.READY:
        state, reason = record.servable.state, record.servable.reason
    row = {"name": name, "version": str(version), "state": state.value}
    if reason:
        row["reason"] = reason
    return row


def _missing(config: ModelConfig) -> str:
    """What a configuration asks for that this server does not have: serving without it would give wrong answers."""
    if config.sequence_batching is not None:
        return f"sequence batching, which model '{config.name}' asks for, is not supported by this server"
    if "EXECUTION_ENV_PATH" in config.parameters:
        return f"EXECUTION_ENV_PATH, which model '{config.name}' sets, is not supported by this server"
    for name, asked in (("model_warmup", config.warmups), ("response_cache", config.response_cache)):
        if asked:
            _log.warning("model '%s': %s is not supported by this server and is left out", config.name, name)
    return ""
