"""An ensemble as a loaded version: its requests become requests of its members, and no tensor moves on the way.

The order of steps is `model.ensembles`'. Knows members only by what any front end knows of a loaded version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from jupyter_pyserve.engine.ensembles.run import Execution
from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.versions.labels import read_labels
from jupyter_pyserve.engine.versions.launcher import LoadFailure, Progress, ServableContext, VersionFailure
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.engine.versions.output_shapes import OutputShapes, output_shapes
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.ensembles import EnsembleGraph, Step
from jupyter_pyserve.model.inflight import InFlight
from jupyter_pyserve.model.lifecycle import VersionEvent, VersionState
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.statistics import FailureReason
from jupyter_pyserve.model.validation_ensemble import member_problems
from jupyter_pyserve.model.validation_schedulers import cache_problems

#: Who carries out a step of an ensemble in this namespace; `PyServeError` when there is nobody.
Lookup = Callable[[Step, str], LoadedVersion]


class EnsembleVersion(LoadedVersion):
    """A version of an ensemble."""

    def __init__(
        self, context: ServableContext, config: ModelConfig, version: int, model_dir: str, lookup: Lookup
    ) -> None:
        super().__init__(context.settings, config, version, context.regions, context.traces)
        assert config.ensemble_scheduling is not None
        self.graph = EnsembleGraph.compile(config.ensemble_scheduling)
        self._model_dir = model_dir
        self._lookup = lookup
        #: By their steps. One that is unloaded takes this with it, and then carries out what is under way still.
        self._members: list[LoadedVersion] = []
        #: Whether some of them have members themselves.
        self.nested = False
        #: Of its answers, if its own configuration says that clients see them otherwise.
        self.shapes: OutputShapes | None = None
        self._runs: dict[int, Execution] = {}
        #: What of each step may go on at a time, all requests taken together; none where there is no limit.
        limit = config.ensemble_scheduling.max_inflight_requests
        self.limits = tuple([InFlight(limit) for _ in self.graph.steps]) if limit else ()

    @property
    def ready(self) -> bool:
        """Whether all members are."""
        ready = self.state is VersionState.READY and self.admission.open
        return ready and all(member.ready for member in self._members)

    @property
    def members(self) -> Sequence[LoadedVersion]:
        """Those that carry out its steps at present."""
        return self._members

    async def start(self, progress: Progress) -> None:
        """Check the members, which are loaded."""
        self._advance(VersionEvent.LOAD)
        try:
            self.check_members()
        except BaseException:
            self._advance(VersionEvent.FAIL)
            self.arena.close()
            raise
        self._advance(VersionEvent.LOADED)

    def check_members(self) -> None:
        """Raises `LoadFailure` unless the members fit together; sees whether one of them is decoupled."""
        members = [self._loaded_member(step) for step in self.graph.steps]
        signatures = {index: member.signature for index, member in enumerate(members)}
        problems = member_problems(self.signature, self.graph, signatures)
        if problems:
            raise LoadFailure(problems[0], kind="Invalid argument")
        decoupled = any(member.signature.decoupled for member in members)
        self.config = self.config.with_decoupled(decoupled)
        if self.namespace:
            self.config = self.config.with_member_namespaces([member.namespace for member in members])
        refused = list(cache_problems(self.config))
        if refused:
            raise VersionFailure(refused[0], self.version)
        self._members = members
        self.nested = any(member.members for member in members)
        self.streaming = frozenset(index for index, member in enumerate(members) if member.signature.decoupled)
        self.signature = Signature.from_config(self.config).with_labels(self._labels(members))
        self.shapes = output_shapes(self.signature)
        self.plans.clear()

    def _labels(self, members: Sequence[LoadedVersion]) -> dict[str, tuple[str, ...]]:
        """Those that its own configuration names, and for other outputs those of the members that make them."""
        found = {
            tensor: members[step.index].signature.outputs[name].labels
            for step in self.graph.steps
            for name, tensor in step.outputs.items()
        }
        return {**found, **read_labels(self.config, self._model_dir)}

    def _loaded_member(self, step: Step) -> LoadedVersion:
        try:
            return self._lookup(step, self.namespace)
        except PyServeError:
            lacking = (
                f"whose required version {step.version} is not loaded."
                if step.version
                else "which has no loaded version."
            )
            raise LoadFailure(f"ensemble '{self.identity}' depends on '{step.model}' {lacking}") from None

    def submit(self, job: Job) -> None:
        """Start the steps that can be started."""
        self._require_available()
        job.enqueue_ns = job.dispatched_ns = time.monotonic_ns()
        execution = self._runs[job.key] = Execution(self, job)
        execution.start()

    def cancel(self, job: Job) -> None:
        """Cancel what the members have of it."""
        job.cancelled = True
        execution = self._runs.get(job.key)
        if execution is not None:
            self.count_failure(job, FailureReason.CANCELED)
            execution.end()
            job.finish()

    def parts(self, job: Job) -> Sequence[Job]:
        """What its members have of it."""
        execution = self._runs.get(job.key)
        return execution.parts if execution is not None else ()

    def ended(self, job: Job) -> None:
        """An execution is over."""
        self._runs.pop(job.key, None)

    def count_failure(self, job: Job, reason: FailureReason) -> None:
        """A request that has failed."""
        self.statistics.record_failure(time.monotonic_ns() - job.enqueue_ns, reason)

    async def stop(self, timeout_s: float) -> None:
        """Fail what is left."""
        self._begin_to_stop()
        for execution in list(self._runs.values()):
            execution.fail(Code.UNAVAILABLE, "Server is stopping, scheduler for model has stopped accepting requests")
        self._close_memory()
