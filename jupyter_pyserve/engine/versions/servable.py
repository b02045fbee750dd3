"""One loaded model version: its instances, its request memory, its queue and its counters.

Keeps every request answered exactly once, whatever happens to the stubs. Knows nothing of repositories, or of other
models, or of who sends requests.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Sequence

from jupyter_pyserve.engine.job import BatchTimes, Job, Response
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.scheduling.choosing import new_dispatcher
from jupyter_pyserve.engine.scheduling.dispatcher import Dispatcher
from jupyter_pyserve.engine.scheduling.membership import Membership
from jupyter_pyserve.engine.scheduling.sequencer import Sequencer
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.backends import find_runtime, python_settings, wants_device_inputs
from jupyter_pyserve.engine.versions.initial_states import initial_states
from jupyter_pyserve.engine.versions.labels import read_labels
from jupyter_pyserve.engine.versions.launcher import Launcher, LoadFailure, Progress, ServableContext
from jupyter_pyserve.engine.versions.loaded import LoadedVersion, deliver
from jupyter_pyserve.engine.versions.output_shapes import output_shapes
from jupyter_pyserve.engine.versions.supervisor import BRIEFLY_S, Supervisor
from jupyter_pyserve.engine.versions.warmup import WarmUp
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.config import (
    ModelConfig,
    instance_specs,
    join_problems,
    merge_auto_complete,
    validate_stage_a,
    validate_stage_b,
)
from jupyter_pyserve.model.defaults import PYTHON_FILENAME
from jupyter_pyserve.model.lifecycle import StubState, VersionEvent, VersionState
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.statistics import FailureReason

_log = logging.getLogger(__name__)


class Servable(LoadedVersion):
    """A version of a model that runs in processes of its own."""

    def __init__(self, context: ServableContext, config: ModelConfig, version: int, model_dir: str) -> None:
        super().__init__(context.settings, config, version, context.regions, context.traces)
        filename = config.default_model_filename or PYTHON_FILENAME
        self.model_file = os.path.join(model_dir, str(version), filename)
        self._logs = context.logs
        self._launcher = Launcher(
            context=context, owner=self, config=config, version=version, model_dir=model_dir, model_file=self.model_file
        )
        self.failed = context.recorder.failed
        self.initialize_args = self._launcher.initialize_args
        self.look_at_recorder()
        self._launcher.warm_up = WarmUp(self, model_dir, lambda job: self._dispatcher.set_apart(job)).run
        self._shapes = output_shapes(self.signature)
        self._membership = Membership(context.rates, self._instance_ready)
        self._dispatcher: Dispatcher | Sequencer = self._new_dispatcher()
        self._supervisor = Supervisor(
            self._launcher, self.instances, self._segments, self._instance_ready, self._give_up
        )
        #: The ends of instances that the last `update` had no place for.
        self._ends: list[asyncio.Task[None]] = []
        self.restarts, self.last_exits = self._supervisor.restarts, self._supervisor.last_exits

    @property
    def last_error(self) -> str:
        """Why an instance cannot be started at present, or why none is."""
        return self._supervisor.last_error or self.reason

    @property
    def ready(self) -> bool:
        """Whether a request would be executed now."""
        return (self.state is VersionState.READY and self.admission.open) and any(
            item.state in (StubState.READY, StubState.BUSY) and item.admission.open for item in self.instances
        )

    @property
    def pending(self) -> int:
        """How many requests wait for their execution to begin."""
        handed = sum(len(batch) for item in self.instances for batch in itertools.islice(item.in_flight, 1, None))
        return self._dispatcher.queued + handed

    # -- loading ------------------------------------------------------------------------------------------------------

    async def start(self, progress: Progress) -> None:
        """Load all instances; raises `LoadFailure` and leaves nothing behind when one cannot be loaded."""
        self._advance(VersionEvent.LOAD)
        try:
            await self._start(progress)
        except BaseException:
            self._advance(VersionEvent.FAIL)
            self._begin_to_stop()
            await asyncio.gather(*(item.stop(BRIEFLY_S) for item in self.instances), return_exceptions=True)
            self._launcher.close()
            self._membership.keep(())
            self.arena.close()
            raise
        self._advance(VersionEvent.LOADED)
        self._supervisor.look_after(self.instances)

    async def _start(self, progress: Progress) -> None:
        launcher = self._launcher
        launcher.start_timeout_s = python_settings(self._settings).start_timeout_s
        self.takes_device_inputs = wants_device_inputs(self.config) and self.answers is None
        launcher.backend_dir, runtime = find_runtime(self.config, self._searched, self._settings.backend_directory)
        if runtime:
            self.config = launcher.config = self.config.with_runtime(runtime)
        launcher.choose_environment()
        specs = instance_specs(self.config)
        if not specs:
            self._judge()
            raise LoadFailure(f"model '{self.name}' has no instances", kind="Invalid argument")
        self._membership.join(specs)
        self.instances += [launcher.new_instance(spec) for spec in specs]
        first, others = self.instances[0], self.instances[1:]
        progress("import", first.name)
        returned = await launcher.import_model(first, self.config.to_json() if self._settings.auto_complete else None)
        refused = None
        if returned is not None:
            progress("auto_complete", first.name)
            refused = None if self._adopt(returned) else returned
        self._judge()
        # Models are told what they have asked for even where it could not be taken over, as on Triton.
        launcher.args_config = refused or self.config.to_json()
        progress("initialize", first.name)
        results = await asyncio.gather(
            launcher.initialize(first, self._segments()),
            *(launcher.bring_up(item, self._segments()) for item in others),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    @property
    def _searched(self) -> tuple[str, ...]:
        """Where a runtime is looked for."""
        model_dir = self._launcher.model_dir
        return os.path.join(model_dir, str(self.version)), model_dir

    def _judge(self) -> None:
        """What is wrong with the complete configuration, or with the files that it names."""
        self._require_valid(self.config)
        self.signature = self.signature.with_labels(read_labels(self.config, self._launcher.model_dir))
        self._shapes = output_shapes(self.signature)
        self._launcher.states = initial_states(self.config, self._launcher.model_dir)

    def _require_valid(self, config: ModelConfig) -> None:
        found = validate_stage_b(config, gpus=self._settings.gpu_count, searched=self._searched)
        problems = [*validate_stage_a(config), *found]
        if problems:
            raise LoadFailure(join_problems(problems), kind="Invalid argument")

    def _adopt(self, returned: str) -> bool:
        """Take over what `auto_complete_config` may change; whether that could be done."""
        self.config, problem = merge_auto_complete(self.config, returned)
        if problem:
            _log.warning("%s", problem)
        self.signature = Signature.from_config(self.config)
        self._launcher.config = self.config
        self._dispatcher = self._new_dispatcher()
        return not problem

    def _new_dispatcher(self) -> Dispatcher | Sequencer:
        return new_dispatcher(self.config, self.instances, self, self._fail, self._membership.turns)

    def _segments(self) -> Sequence[Segment]:
        return tuple(self.arena.segments.values())

    # -- other instances ----------------------------------------------------------------------------------------------

    async def update(self, config: ModelConfig) -> None:
        """Have the instances that `config` says instead, and no request fails for it."""
        launcher = self._launcher
        before, changed = (self.config, launcher.args_config), self.config.with_instances_of(config)
        self._require_valid(changed)
        self.config, launcher.config, launcher.args_config = changed, changed, changed.to_json()
        specs, limit_s = instance_specs(changed), self._settings.drain_timeout_s
        try:
            self._membership.join(specs)
            self._ends = await self._supervisor.resize(specs, self._dispatcher.release, limit_s)
        except BaseException:
            self.config, launcher.args_config = before
            launcher.config = self.config
            self._keep_seats()
            raise
        for end in self._ends:
            end.add_done_callback(self._keep_seats)
        self.source_config = config

    def _keep_seats(self, *_: object) -> None:
        self._membership.keep(item.spec for item in (*self.instances, *self._supervisor.retiring))

    def abandon_update(self) -> None:
        """Give up on an `update` that waits for new instances: it fails."""
        self._supervisor.abandon()

    async def updated(self) -> None:
        """Wait until the instances of before have ended; not with sequences, which end when their clients say so."""
        if self._ends and self.config.sequence_batching is None:
            await asyncio.wait(self._ends)

    # -- requests -----------------------------------------------------------------------------------------------------

    def detach(self, segment_ids: Sequence[int]) -> None:
        """Client memory that no further job will refer to."""
        for instance in (*self.instances, *self._supervisor.retiring):
            instance.detach(segment_ids)

    def submit(self, job: Job) -> None:
        """Queue or dispatch a job; raises `PyServeError` when it is refused (then it is still the caller's)."""
        if self._refusing or self.state is not VersionState.READY:
            self._require_available()
        now_ns = time.monotonic_ns()
        job.enqueue_ns = job.enqueue_ns or now_ns
        self._dispatcher.offer(job, now_ns)

    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any more: drop it if it is queued, tell the model if it is running."""
        job.cancelled = True
        if self._dispatcher.cancel(job):
            self._count_failure(job, time.monotonic_ns(), FailureReason.CANCELED)
            job.finish()
            return
        if job.instance is not None:
            job.instance.cancel(job)

    # -- what instances report ----------------------------------------------------------------------------------------

    def answered(
        self,
        instance: Instance,
        batch: list[Job],
        responses: Sequence[Response | None],
        times: BatchTimes,
        rescheduled: Sequence[Job],
    ) -> None:
        """Deliver a batch's answers; the instance is given more work first, so that it does not wait for that."""
        now_ns = time.monotonic_ns()
        if rescheduled:
            self._count(instance, batch, times, now_ns)  # each execution of a request counts
            self._reschedule(instance, rescheduled, now_ns)
        if self._dispatcher.waiting:
            self._dispatcher.pump(now_ns, len(batch))
        latencies, shapes, deliver_one = self.statistics.latencies, self._shapes, self._deliver
        for job, response in zip(batch, responses):
            if job.tally is not None:
                job.tally.add(times.input_ns, times.infer_ns, times.output_ns(job, now_ns))
            if response is not None:
                if latencies is not None:
                    self._responded(job)
                deliver_one(job, response if shapes is None else shapes.apply(response))
        if not rescheduled:
            self._count(instance, batch, times, now_ns)

    def streamed(self, job: Job, response: Response) -> None:
        """Deliver a response that came by itself; its request was or will be counted with its batch."""
        if response.tensors:
            self._responded(job)
        self._deliver(job, response if self._shapes is None else self._shapes.apply(response))

    def _reschedule(self, instance: Instance, jobs: Sequence[Job], now_ns: int) -> None:
        for job, code, text, _ in self._dispatcher.reschedule(instance, jobs, now_ns):
            if not job.cancelled:
                _log.error("Failed to release request: %s", text)
            deliver(job, Response(job, code=code, text=text))

    def relieved(self) -> None:
        """Something that an instance had to finish first is finished."""
        if self._dispatcher.waiting:
            self._dispatcher.pump(time.monotonic_ns())

    def died(self, instance: Instance, executing: list[Job], answering: list[Job], waiting: list[list[Job]]) -> None:
        """Fail what the stub was executing, keep what it had not started, and replace it."""
        text = f"Stub process '{instance.name}' is not healthy."
        instance.failures += len(executing) + len(answering)
        for job in (*executing, *answering):
            self.failed(job, text)
        for job in executing:
            self._fail(job, Code.INTERNAL, text, FailureReason.BACKEND)
        for job in answering:  # counted when `execute` was over
            deliver(job, Response(job, code=Code.INTERNAL, text=text))
        self._dispatcher.put_back([self._still_wanted(batch) for batch in waiting])
        if self._stopping or self.state is not VersionState.READY:
            return
        self._supervisor.died(instance)
        self.look_at_debuggers()
        self._dispatcher.pump(time.monotonic_ns())

    def _still_wanted(self, batch: list[Job]) -> list[Job]:
        for job in batch:
            if job.cancelled:
                self._fail(job, Code.CANCELLED, "", FailureReason.CANCELED)
        return [job for job in batch if not job.cancelled]

    async def restart(self) -> None:
        """Renew every instance without a failed request."""
        await self._supervisor.restart(self._settings.exit_timeout_s)

    async def renew(self, instance: Instance) -> None:
        """Renew one of them in the same way."""
        await self._supervisor.renew(instance, self._settings.exit_timeout_s)

    def look_at_debuggers(self) -> None:
        """Timeouts stand still for as long as one may be attached."""
        suspended = any(item.debug_port and item.alive for item in self.instances)
        self._dispatcher.suspend_timeouts(suspended, time.monotonic_ns())

    def look_at_recorder(self) -> None:
        """What is kept of requests has changed."""
        self._deliver = self._launcher.context.recorder.delivering(self.name, deliver)

    def kill(self) -> list[Instance]:
        """End every process at once, whatever it is doing, and say which; those that serve are started again."""
        return self._supervisor.kill()

    def _instance_ready(self) -> None:
        self.look_at_debuggers()
        self._dispatcher.pump(time.monotonic_ns())

    def _give_up(self, text: str) -> None:
        lines = [record.text for record in self._logs.tail(self.name, 20) if record.stream != "log"]
        self._advance(VersionEvent.FAIL)
        self.reason = "\n".join(part for part in (text, self._supervisor.last_error, *lines[-5:]) if part)
        _log.error("model '%s' version %d is UNAVAILABLE: %s", self.name, self.version, self.reason)
        for job in self._dispatcher.drain():
            self._fail(job, Code.UNAVAILABLE, self.reason)

    def _fail(self, job: Job, code: Code, text: str, reason: FailureReason = FailureReason.OTHER) -> None:
        self._count_failure(job, time.monotonic_ns(), reason)
        deliver(job, Response(job, code=code, text=text))

    def _count(self, instance: Instance, batch: list[Job], times: BatchTimes, now_ns: int) -> None:
        if not batch:
            return
        statistics = self.statistics
        input_ns, infer_ns, failed = times
        computed_ns = input_ns, infer_ns, times.output_ns(batch[0], now_ns)
        wall_ms = int(time.time() * 1000)
        counted = [job for job in batch if job.counts]
        size = sum([job.batch_size for job in counted])
        if len(batch) == 1 and counted and not failed:  # as a rule
            enqueued_ns, dispatched_ns = batch[0].enqueue_ns, batch[0].dispatched_ns
            statistics.record_success(size, now_ns - enqueued_ns, dispatched_ns - enqueued_ns, *computed_ns, wall_ms)
        elif failed:
            for job in counted:
                self._count_failure(job, now_ns, FailureReason.BACKEND)
        elif counted:
            totals_ns = [now_ns - job.enqueue_ns for job in counted]
            queues_ns = [job.dispatched_ns - job.enqueue_ns for job in counted]
            statistics.record_successes(size, totals_ns, queues_ns, computed_ns, wall_ms)
        if len(counted) != len(batch):
            size = sum([job.batch_size for job in batch])
        statistics.record_execution(size, *computed_ns, wall_ms)
        instance.tally.add(size, now_ns - batch[0].dispatched_ns)

    def _responded(self, job: Job) -> None:
        """How long requests wait for their first response, where somebody wants to know."""
        latencies = self.statistics.latencies
        if latencies is not None and not job.responded:
            job.responded = True
            latencies.record_first_response(time.monotonic_ns() - job.enqueue_ns)

    def _count_failure(self, job: Job, now_ns: int, reason: FailureReason) -> None:
        if job.counts:
            self.statistics.record_failure(now_ns - job.enqueue_ns, reason)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def stop(self, timeout_s: float) -> None:
        """Finalise every instance and drop the memory; requests that are left are failed."""
        self._begin_to_stop()
        await self._supervisor.stop(timeout_s)
        self._launcher.close()
        for job in self._dispatcher.drain():
            text = "Server is stopping, scheduler for model has stopped accepting new inference requests"
            self._fail(job, Code.UNAVAILABLE, text)
        self._dispatcher.close()
        self._membership.keep(())
        self._close_memory()

    def _on_idle(self) -> None:
        for instance in self.instances:
            instance.trim()

    def _on_segment(self, segment: Segment) -> None:
        for instance in (*self.instances, *self._supervisor.retiring):
            if instance.alive and instance.pid:
                instance.attach((segment,))
