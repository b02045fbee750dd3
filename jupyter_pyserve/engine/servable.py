"""One loaded model version: its instances, its request memory, its scheduler and its counters.

Carries out what the scheduler decides, and keeps every request answered exactly once, whatever happens to the stubs.
Knows nothing of repositories, other models, or who sends requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.arena import Arena, Segment
from jupyter_pyserve.engine.instance import BatchTimes, Instance, StubDied, StubFault
from jupyter_pyserve.engine.job import Job, Memory, Response, Sink
from jupyter_pyserve.engine.logs import LogBook
from jupyter_pyserve.engine.restarts import RestartPolicy
from jupyter_pyserve.engine.zygote import Zygote
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.batching import DefaultScheduler, DynamicBatcher, Scheduler
from jupyter_pyserve.model.config import (
    InstanceSpec,
    ModelConfig,
    instance_specs,
    join_problems,
    merge_auto_complete,
    validate_stage_b,
)
from jupyter_pyserve.model.lifecycle import StubState, VersionState
from jupyter_pyserve.model.queueing import REQUEST_TIMEOUT_EXPIRED
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.statistics import ModelStatistics
from jupyter_pyserve.settings import EngineSettings

_log = logging.getLogger(__name__)

#: A model that is faster than this may have further batches waiting inside its stub, so that it never idles.
_FAST_NS = 1_000_000
_DEPTH = 4

#: Free memory is given back to the system after so long without a request.
_TRIM_AFTER_S = 10.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServableContext:
    """What every servable needs of the engine."""

    zygote: Zygote
    logs: LogBook
    settings: EngineSettings


class Servable:
    """A model version that is loading, serving or draining."""

    def __init__(self, context: ServableContext, config: ModelConfig, version: int, model_dir: str) -> None:
        self.name = config.name
        self.version = version
        self.config = config
        self.model_dir = model_dir
        self.model_file = os.path.join(model_dir, str(version), config.default_model_filename)
        self.signature = Signature.from_config(config)
        self.statistics = ModelStatistics()
        self.instances: list[Instance] = []
        self.outstanding = 0
        self.plans: dict[Any, Any] = {}
        self.state = VersionState.LOADING
        self.reason = ""
        self.restarts: dict[str, int] = {}
        self._context = context
        self.arena = Arena("pyserve-requests", context.settings.arena_limit_nbytes, self._on_segment)
        self._args_config = ""
        self._scheduler: Scheduler[Job] = DefaultScheduler()
        self._returned: deque[list[Job]] = deque()
        self._depth = 1
        self._timer: asyncio.TimerHandle | None = None
        self._trim_timer: asyncio.TimerHandle | None = None
        self._drained: asyncio.Future[None] | None = None
        self._policy = RestartPolicy()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._idle_since_s = 0.0
        self._stopping = False

    @property
    def ready(self) -> bool:
        """Whether a request would be executed now."""
        return self.state is VersionState.READY and any(
            item.state in (StubState.READY, StubState.BUSY) for item in self.instances
        )

    # -- loading ------------------------------------------------------------------------------------------------------

    async def start(self, progress: Progress) -> None:
        """Load all instances; raises `LoadFailure` and leaves nothing behind when one cannot be loaded."""
        try:
            await self._start(progress)
        except BaseException:
            self.state = VersionState.UNAVAILABLE
            self._stopping = True
            await asyncio.gather(*(item.stop(1.0) for item in self.instances), return_exceptions=True)
            self.arena.close()
            raise
        self.state = VersionState.READY

    async def _start(self, progress: Progress) -> None:
        specs = instance_specs(self.config)
        first = self._new_instance(specs[0])
        self.instances.append(first)
        auto_complete = self._context.settings.auto_complete
        progress("import", first.name)
        returned = await self._guard(first, self._import(first, self.config.to_json() if auto_complete else None))
        if returned is not None:
            progress("auto_complete", first.name)
            self.config, problem = merge_auto_complete(self.config, returned)
            if problem:
                _log.warning("%s", problem)
        problems = validate_stage_b(self.config)
        if problems:
            raise LoadFailure(join_problems(problems), kind="Invalid argument")
        self.signature = Signature.from_config(self.config)
        self._args_config = returned if returned is not None else self.config.to_json()
        self._make_scheduler()
        progress("initialize", first.name)
        others = [self._new_instance(spec) for spec in specs[1:]]
        self.instances += others
        results = await asyncio.gather(
            self._guard(first, self._initialize(first)),
            *(self._guard(item, self._bring_up(item)) for item in others),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _make_scheduler(self) -> None:
        batching = self.config.dynamic_batching
        if batching is not None:
            self._scheduler = DynamicBatcher(
                batching,
                max_batch_size=self.config.max_batch_size,
                hold_until=int(os.environ.get("TRITONSERVER_DELAY_SCHEDULER", "0")),
            )
            self._depth = 1
        else:
            self._scheduler = DefaultScheduler()
            self._depth = _DEPTH

    def _new_instance(self, spec: InstanceSpec) -> Instance:
        return Instance(
            spec,
            self,
            self._context.zygote,
            self._context.logs,
            model=self.name,
            version=self.version,
            limit=self._context.settings.arena_limit_nbytes,
        )

    async def _import(self, instance: Instance, auto_complete: str | None) -> str | None:
        await instance.start(self.model_file)
        return await instance.load(
            {
                "model_dir": self.model_dir,
                "version": str(self.version),
                "filename": self.config.default_model_filename,
                "model_name": self.name,
                "auto_complete": auto_complete,
            }
        )

    async def _bring_up(self, instance: Instance) -> None:
        await self._import(instance, None)
        await self._initialize(instance)

    async def _initialize(self, instance: Instance) -> None:
        args = {
            "model_config": self._args_config,
            "model_instance_kind": instance.spec.kind,
            "model_instance_name": instance.name,
            "model_instance_device_id": str(instance.spec.device_id),
            "model_repository": self.model_dir,
            "model_version": str(self.version),
            "model_name": self.name,
        }
        await instance.initialize(args, decoupled=self.config.decoupled, arena=tuple(self.arena.segments.values()))

    async def _guard(self, instance: Instance, work: Any) -> Any:
        try:
            return await work
        except StubDied:
            raise LoadFailure(f"Stub process '{instance.name}' is not healthy.") from None
        except StubFault as fault:
            raise LoadFailure(fault.text, exception=fault.exception, frames=fault.frames) from None

    # -- requests -----------------------------------------------------------------------------------------------------

    def new_job(self, nbytes: int, sink: Sink) -> tuple[Job, int, int]:
        """A job with `nbytes` of input memory: the job, its segment and its offset there.

        Raises `PyServeError` UNAVAILABLE when the model's memory is full.
        """
        block = self.arena.allocate(nbytes)
        if block is None:
            raise PyServeError(
                Code.UNAVAILABLE,
                f"model '{self.name}' has no shared memory left for a request of {nbytes} bytes: "
                f"{self.arena.used} of at most {self._context.settings.arena_limit_nbytes} bytes are in use",
            )
        return Job(self, _ArenaMemory(self.arena), block.id, sink), block.segment, block.offset

    def foreign_job(self, memory: Memory, block_id: int, sink: Sink) -> Job:
        """A job whose inputs lie in somebody else's memory."""
        return Job(self, memory, block_id, sink)

    def detach(self, segment_ids: Sequence[int]) -> None:
        """Client memory that no further job will refer to."""
        for instance in self.instances:
            instance.detach(segment_ids)

    def submit(self, job: Job) -> None:
        """Queue or dispatch a job; raises `PyServeError` when it is refused (then it is still the caller's)."""
        now_ns = time.monotonic_ns()
        job.enqueue_ns = now_ns
        if self._stopping or self.state is VersionState.UNAVAILABLE:
            raise PyServeError(Code.UNAVAILABLE, self.reason or f"model '{self.name}' is not available")
        self._scheduler.offer(job, now_ns)
        self._pump(now_ns)

    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any more: drop it if it is queued, tell the model if it is running."""
        job.cancelled = True
        if self._scheduler.cancel(job):
            self._count_failure(job, time.monotonic_ns())
            job.unref()
            return
        for instance in self.instances:
            if any(job in batch for batch in instance.in_flight):
                instance.cancel(job)

    def _pump(self, now_ns: int) -> None:
        scheduler = self._scheduler
        while self._returned or len(scheduler):
            instance = self._free_instance()
            if instance is None:
                break
            batch = self._returned.popleft() if self._returned else scheduler.next_batch(now_ns)
            if batch is None:
                break
            instance.execute(batch, now_ns)
        if self._depth == 1:
            self._after_pump(now_ns)

    def _after_pump(self, now_ns: int) -> None:
        """What only schedulers with a sense of time need: timeouts, and when to look again."""
        for job in self._scheduler.expire(now_ns):
            self._fail(job, Code.UNAVAILABLE, REQUEST_TIMEOUT_EXPIRED)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not len(self._scheduler):
            return
        due_ns = self._scheduler.next_wakeup_ns(now_ns)
        if due_ns is not None and (due_ns > now_ns or self._free_instance() is not None):
            self._timer = self._loop.call_later(max(0, due_ns - now_ns) / 1e9, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._pump(time.monotonic_ns())

    def _free_instance(self) -> Instance | None:
        best: Instance | None = None
        least = self._depth
        for instance in self.instances:
            waiting = len(instance.in_flight)
            if waiting == 0:
                if instance.state is StubState.READY:
                    return instance
            elif waiting < least and instance.average_ns < _FAST_NS and instance.state is StubState.BUSY:
                best, least = instance, waiting
        return best

    # -- what instances report ----------------------------------------------------------------------------------------

    def answered(self, instance: Instance, batch: list[Job], responses: list[Response], times: BatchTimes) -> None:
        """Deliver a batch's answers, and give the instance more work first, so that it does not wait for that."""
        now_ns = time.monotonic_ns()
        if self._returned or len(self._scheduler):
            self._pump(now_ns)
        self._count(batch, times, now_ns)
        for job, response in zip(batch, responses):
            if job.cancelled:
                response.release()
            else:
                job.sink.deliver(job, response)

    def died(self, instance: Instance, executing: list[Job], waiting: list[list[Job]]) -> None:
        """Fail what the stub was executing, keep what it had not started, and replace it."""
        for job in executing:
            self._fail(job, Code.INTERNAL, f"Stub process '{instance.name}' is not healthy.")
        self._returned.extendleft(reversed(waiting))
        if self._stopping or self.state is not VersionState.READY:
            return
        delay_s = self._policy.died(self._loop.time())
        if delay_s is None:
            self._give_up(instance)
            return
        _log.error(
            "Stub process '%s' (pid %d) ended; it is started again in %.1f s", instance.name, instance.pid, delay_s
        )
        self._run(self._replace(instance, delay_s))
        self._pump(time.monotonic_ns())

    async def _replace(self, old: Instance, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if self._stopping:
            return
        fresh = self._new_instance(old.spec)
        self.instances[self.instances.index(old)] = fresh
        self.restarts[fresh.name] = self.restarts.get(fresh.name, 0) + 1
        try:
            await self._guard(fresh, self._bring_up(fresh))
        except LoadFailure as failure:
            self.reason = failure.text
            if fresh.alive:
                await fresh.stop(1.0)
                self.died(fresh, [], [])
            return
        self._pump(time.monotonic_ns())

    async def restart(self) -> None:
        """Replace every instance, one after the other, while the others serve."""
        for instance in list(self.instances):
            fresh = self._new_instance(instance.spec)
            try:
                await self._guard(fresh, self._bring_up(fresh))
            except LoadFailure:
                await fresh.stop(1.0)
                raise
            index = self.instances.index(instance)
            self.instances[index] = fresh
            self._pump(time.monotonic_ns())
            while instance.in_flight:
                await asyncio.sleep(0.005)
            await instance.stop(self._context.settings.exit_timeout_s)

    def _give_up(self, instance: Instance) -> None:
        lines = [record.text for record in self._context.logs.tail(self.name, 5, instance.name)]
        last = self.reason or "\n".join(lines)
        self.state = VersionState.UNAVAILABLE
        self.reason = f"Stub process '{instance.name}' ended {self._policy.limit + 1} times in a row. {last}".strip()
        _log.error("model '%s' version %d is UNAVAILABLE: %s", self.name, self.version, self.reason)
        while self._returned:
            for job in self._returned.popleft():
                self._fail(job, Code.UNAVAILABLE, self.reason)
        while (batch := self._scheduler.next_batch(time.monotonic_ns())) is not None:
            for job in batch:
                self._fail(job, Code.UNAVAILABLE, self.reason)

    def _fail(self, job: Job, code: Code, text: str) -> None:
        self._count_failure(job, time.monotonic_ns())
        response = Response(job, code=code, text=text)
        if job.cancelled:
            response.release()
        else:
            job.sink.deliver(job, response)

    def _count(self, batch: list[Job], times: BatchTimes, now_ns: int) -> None:
        if times.failed:
            for job in batch:
                self._count_failure(job, now_ns)
            return
        statistics = self.statistics
        input_ns, infer_ns, _ = times
        output_ns = max(0, now_ns - batch[0].dispatched_ns - input_ns - infer_ns)
        wall_ms = int(time.time() * 1000)
        size = 0
        for job in batch:
            size += job.batch_size
            statistics.record_success(
                job.batch_size,
                now_ns - job.received_ns,
                job.dispatched_ns - job.enqueue_ns,
                input_ns,
                infer_ns,
                output_ns,
                wall_ms,
            )
        statistics.record_execution(size, input_ns, infer_ns, output_ns)

    def _count_failure(self, job: Job, now_ns: int) -> None:
        self.statistics.record_failure(now_ns - job.received_ns, int(time.time() * 1000))

    # -- the end ------------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until no request is left, however long that takes."""
        if self.outstanding:
            self._drained = self._loop.create_future()
            await self._drained

    async def stop(self, timeout_s: float) -> None:
        """Finalise every instance and drop the memory; requests that are left are failed."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(item.stop(timeout_s) for item in self.instances))
        self._give_up_waiting()
        for timer in (self._timer, self._trim_timer):
            if timer is not None:
                timer.cancel()
        self.arena.close()

    def _give_up_waiting(self) -> None:
        text = "Server is stopping, scheduler for model has stopped accepting new inference requests"
        waiting = [job for batch in self._returned for job in batch]
        self._returned.clear()
        while (batch := self._scheduler.next_batch(time.monotonic_ns())) is not None:
            waiting += batch
        for job in waiting:
            self._fail(job, Code.UNAVAILABLE, text)

    def job_ended(self) -> None:
        """A job's memory is free again."""
        self.outstanding -= 1
        if self.outstanding == 0:
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)
            self._idle_since_s = self._loop.time()
            if self._trim_timer is None and not self._stopping:
                self._trim_timer = self._loop.call_later(_TRIM_AFTER_S, self._trim)

    def _trim(self) -> None:
        self._trim_timer = None
        if self.outstanding or self._stopping:
            return
        left_s = self._idle_since_s + _TRIM_AFTER_S - self._loop.time()
        if left_s > 0:
            self._trim_timer = self._loop.call_later(left_s, self._trim)
        else:
            self.arena.trim()

    def _on_segment(self, segment: Segment) -> None:
        for instance in self.instances:
            if instance.alive and instance.pid:
                instance.attach((segment,), writable=True)

    def _run(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def status_rows(self) -> list[dict[str, Any]]:
        """What the control API shows of each instance."""
        return [instance_row(item, self) for item in self.instances]


class _ArenaMemory:
    """The request arena as the memory of a job."""

    __slots__ = ("_arena",)

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self._arena.view(segment, offset, nbytes)

    def free(self, block_id: int) -> None:
        self._arena.free(block_id)


def instance_row(instance: Instance, owner: Servable) -> dict[str, Any]:
    """One instance for the control API; a figure that cannot be had is None."""
    busy = bool(instance.in_flight)
    since_s = (time.monotonic_ns() - instance.executing_since_ns) / 1e9 if busy else None
    return {
        "name": instance.name,
        "version": str(owner.version),
        "pid": instance.pid,
        "state": instance.state.value,
        "kind": instance.spec.kind,
        "requests": instance.requests,
        "failures": instance.failures,
        "restarts": owner.restarts.get(instance.name, 0),
        "busy_since_s": since_s,
        "current_request": instance.in_flight[0][0].id or None if busy else None,
        "rss_bytes": _rss_nbytes(instance.pid),
        "arena_bytes": instance.arena_nbytes,
        "last_error": owner.reason or None,
    }


def _rss_nbytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def decode_parameters(text: bytes) -> dict[str, Any]:
    """Response parameters as the model gave them."""
    return dict(json.loads(text)) if text else {}
