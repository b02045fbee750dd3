"""Bringing up the instances of one model version: process, import, auto-completion, initialisation.

Turns whatever goes wrong into one `LoadFailure` with Triton's text. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.debugging.recorder import Recorder
from jupyter_pyserve.engine.environments.environment import PARAMETER, brought_by, expand
from jupyter_pyserve.engine.environments.store import Environments, ModelEnvironment
from jupyter_pyserve.engine.job import Executed
from jupyter_pyserve.engine.logs import LogBook
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.engine.scheduling.rates import Rates
from jupyter_pyserve.engine.stubs.callbacks import StubServices
from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.stubs.placement import Placed, place_of
from jupyter_pyserve.engine.stubs.zygote import Zygote
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.backend_settings import DEFAULT_START_TIMEOUT_S
from jupyter_pyserve.model.config import InstanceSpec, ModelConfig
from jupyter_pyserve.model.execution import keep_unfinished_requests, max_concurrency
from jupyter_pyserve.settings import EngineSettings

T = TypeVar("T")

_KINDS = {Code.INVALID_ARG: "Invalid argument", Code.INTERNAL: "Internal"}

#: How long a process that is stuck may take to write where it is.
_LAST_WORDS_S = 0.3

Progress = Callable[[str, str], None]


class LoadFailure(Exception):
    """A model version that could not be loaded: Triton's text, and for Python errors where it happened."""

    def __init__(
        self,
        text: str,
        *,
        kind: str = "Internal",
        exception: str | None = None,
        frames: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(text)
        self.text = text
        self.kind = kind
        self.exception = exception
        self.frames = list(frames)


class VersionFailure(LoadFailure):
    """An ensemble's that is told as that of one version, as those of other models are."""

    def __init__(self, text: str, version: int) -> None:
        super().__init__(text, kind="Invalid argument")
        self.version = version


@dataclass(frozen=True, slots=True, kw_only=True)
class ServableContext:
    """What every servable needs of the engine."""

    zygote: Zygote
    environments: Environments
    logs: LogBook
    settings: EngineSettings
    regions: ClientRegions
    services: StubServices
    traces: TraceBook
    recorder: Recorder
    #: Where answers are kept, if the server has such a place.
    cache: ResponseCache | None = None
    #: The rate limiter, where there is one.
    rates: Rates | None = None


@dataclass(slots=True, kw_only=True)
class Launcher:
    """Starts instances of one model version; `args_config` is the configuration's text that models are given."""

    context: ServableContext
    owner: Executed
    config: ModelConfig
    version: int
    model_dir: str
    model_file: str
    args_config: str = ""
    start_timeout_s: int = DEFAULT_START_TIMEOUT_S
    #: Where its interpreter comes from; None is the engine's own.
    environment: ModelEnvironment | None = None
    #: What an instance does before it counts as ready, if the configuration says so.
    warm_up: Callable[[Instance], Awaitable[None]] | None = None
    #: What sequences find as their implicit state, if the configuration names such a thing.
    states: Sequence[Mapping[str, Any]] = ()
    #: Of a Python-based backend: its `config.runtime` is imported from there.
    backend_dir: str = ""

    def new_instance(self, spec: InstanceSpec) -> Instance:
        """An instance that has no process yet."""
        return Instance(
            spec,
            self.owner,
            Placed(self.environment or self.context.zygote, self._place_of(spec)),
            self.context.logs,
            self.context.services,
            model=self.config.name,
            version=self.version,
            limit=self.context.settings.arena_limit_nbytes,
        )

    def _place_of(self, spec: InstanceSpec) -> Mapping[str, Any] | None:
        try:
            return place_of(spec, self.config, self.context.settings.host_policies)
        except PyServeError as error:
            raise LoadFailure(error.message, kind=_KINDS[error.code]) from error

    def choose_environment(self) -> None:
        """The environment that the configuration asks for, or that the backend brings; ours when there is neither."""
        path = expand(self.config.parameters.get(PARAMETER, ""), self.model_dir) or brought_by(self.backend_dir)
        if path:
            self.environment = ModelEnvironment(self.context.environments, self.context.zygote, path)

    async def import_model(self, instance: Instance, auto_complete: str | None) -> str | None:
        """Start the process and import the model; what its auto-completion made of the configuration given."""
        if self.environment is not None:  # which may take as long as it takes to unpack an archive
            try:
                await self.environment.prepare()
            except PyServeError as error:
                raise LoadFailure(error.message) from error
        return await self._guarded(instance, self._import(instance, auto_complete), "importing")

    async def initialize(self, instance: Instance, arena: Sequence[Segment]) -> None:
        """Construct and initialise the model."""
        await self._guarded(instance, self._initialize(instance, arena), "initializing")
        if self.config.warmups and self.warm_up is not None and not instance.spec.passive:
            await self._guarded(instance, self.warm_up(instance), "warming up")

    async def bring_up(self, instance: Instance, arena: Sequence[Segment]) -> None:
        """Everything, for an instance of a model whose configuration is complete."""
        await self.import_model(instance, None)
        await self.initialize(instance, arena)

    def close(self) -> None:
        """No instance is started any more, and none runs."""
        if self.environment is not None:
            self.environment.close()

    async def _start(self, instance: Instance) -> None:
        try:
            await instance.start(self.model_file)
        except StubDied:
            if self.environment is None:
                raise
            raise LoadFailure(await self._last_words(instance, self.environment.interpreter)) from None

    async def _last_words(self, instance: Instance, interpreter: str) -> str:
        """What can be said of an interpreter that did not come as far as to speak for itself."""
        records = self.context.logs.tail(self.config.name, 20)
        said = [item.text for item in records if item.instance == instance.name and item.stream == "stderr"]
        text = f"Stub process '{instance.name}' is not healthy.\nThe interpreter {interpreter} does not start: "
        return text + "\n".join([await instance.epitaph(), *said])

    def _missing(self, instance: Instance, module: str | None) -> str:
        """Where a module is missing: for the log, and for the error of a model that has chosen its environment."""
        if not module:
            return ""
        where = f"{instance.greeting.interpreter} (CPython {instance.greeting.python})"
        text = f"The module '{module}' is missing in the environment of {where}."
        instance.report(text)
        return f"\n{text}" if self.environment is not None else ""

    async def _import(self, instance: Instance, auto_complete: str | None) -> str | None:
        await self._start(instance)
        return await instance.load(
            {
                "model_dir": self.model_dir,
                "version": str(self.version),
                "filename": self.config.runtime if self.backend_dir else self.config.default_model_filename,
                "backend_dir": self.backend_dir,
                "model_name": self.config.name,
                "auto_complete": auto_complete,
            }
        )

    def initialize_args(self, instance: Instance) -> dict[str, str]:
        """What the model's `initialize` is given."""
        return {
            "model_config": self.args_config,
            "model_instance_kind": instance.spec.kind,
            "model_instance_name": instance.name,
            "model_instance_device_id": str(instance.spec.device_id),
            "model_repository": self.model_dir,
            "model_version": str(self.version),
            "model_name": self.config.name,
        }

    async def _initialize(self, instance: Instance, arena: Sequence[Segment]) -> None:
        arguments: dict[str, Any] = {
            "args": self.initialize_args(instance),
            "decoupled": self.config.decoupled,
            "keep_unfinished": keep_unfinished_requests(self.config),
        }
        if self.states:
            arguments["states"] = self.states
        await instance.initialize(arguments, max_concurrency=max_concurrency(self.config), arena=arena)

    async def _guarded(self, instance: Instance, work: Awaitable[T], doing: str) -> T:
        try:
            return await asyncio.wait_for(work, self.start_timeout_s)
        except StubDied:
            raise LoadFailure(f"Stub process '{instance.name}' is not healthy.") from None
        except StubFault as fault:
            text = fault.text + self._missing(instance, fault.missing)
            raise LoadFailure(text, exception=fault.exception, frames=fault.frames) from None
        except asyncio.TimeoutError:
            await _end_showing_where(instance)
            raise LoadFailure(
                f"Stub process '{instance.name}' did not finish {doing} its model "
                f"within {self.start_timeout_s} seconds and was killed; its log shows where it was. "
                "More time: --backend-config=python,stub-timeout-seconds=N"
            ) from None


async def _end_showing_where(instance: Instance) -> None:
    """End a process that is stuck, with the stacks of its threads as its last words."""
    instance.process.dump_stacks()
    await asyncio.sleep(_LAST_WORDS_S)
    instance.kill()
    await instance.gone()
