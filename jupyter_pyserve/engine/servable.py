"""One loaded model version: its instances, its request memory, its queue and its counters.

Keeps every request answered exactly once, whatever happens to the stubs. Knows nothing of repositories, or of other
models, or of who sends requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_pyserve.engine.arena import Arena, Segment
from jupyter_pyserve.engine.dispatcher import Dispatcher
from jupyter_pyserve.engine.instance import Instance
from jupyter_pyserve.engine.job import BatchTimes, Job, Memory, Response, Sink
from jupyter_pyserve.engine.launcher import Launcher, LoadFailure, Progress, ServableContext
from jupyter_pyserve.engine.supervisor import BRIEFLY_S, Supervisor
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import (
    ModelConfig,
    instance_specs,
    join_problems,
    merge_auto_complete,
    validate_stage_a,
    validate_stage_b,
)
from jupyter_pyserve.model.lifecycle import VERSION, StubState, VersionEvent, VersionState, advance
from jupyter_pyserve.model.queueing import REQUEST_TIMEOUT_EXPIRED
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.statistics import ModelStatistics

_log = logging.getLogger(__name__)

#: Free memory is given back to the system after so long without a request.
_TRIM_AFTER_S = 10.0


class MemoryFull(PyServeError):
    """There is no room for a request: not now, or (`for_good`) never."""

    def __init__(self, message: str, *, for_good: bool) -> None:
        super().__init__(Code.UNAVAILABLE, message)
        self.for_good = for_good


class Servable:
    """A model version that is loading, serving or draining."""

    def __init__(self, context: ServableContext, config: ModelConfig, version: int, model_dir: str) -> None:
        self.name = config.name
        self.version = version
        self.config = config
        self.model_file = os.path.join(model_dir, str(version), config.default_model_filename)
        self.signature = Signature.from_config(config)
        self.statistics = ModelStatistics()
        self.instances: list[Instance] = []
        self.outstanding = 0
        self.plans: dict[Any, Any] = {}
        self.state = VersionState.UNAVAILABLE
        self.reason = ""
        self._settings = context.settings
        self._logs = context.logs
        self.arena = Arena("pyserve-requests", context.settings.arena_limit_nbytes, self._on_segment)
        self._memory = _ArenaMemory(self.arena)
        self._launcher = Launcher(
            context=context,
            owner=self,
            config=config,
            version=version,
            model_dir=model_dir,
            model_file=self.model_file,
        )
        self._dispatcher = Dispatcher(config, self.instances, self._expired)
        self._trim_timer: asyncio.TimerHandle | None = None
        self._idle_since_s = 0.0
        self._drained: asyncio.Future[None] | None = None
        self._hungry: deque[Callable[[], bool]] = deque()
        self._supervisor = Supervisor(
            self._launcher, self.instances, self._segments, self._instance_ready, self._give_up
        )
        self._loop = asyncio.get_running_loop()
        self._stopping = False

    @property
    def restarts(self) -> dict[str, int]:
        """How often each instance was started again after a death."""
        return self._supervisor.restarts

    @property
    def last_error(self) -> str:
        """Why an instance cannot be started at present, or why none is."""
        return self._supervisor.last_error or self.reason

    @property
    def ready(self) -> bool:
        """Whether a request would be executed now."""
        return self.state is VersionState.READY and any(
            item.state in (StubState.READY, StubState.BUSY) for item in self.instances
        )

    # -- loading ------------------------------------------------------------------------------------------------------

    async def start(self, progress: Progress) -> None:
        """Load all instances; raises `LoadFailure` and leaves nothing behind when one cannot be loaded."""
        self._advance(VersionEvent.LOAD)
        try:
            await self._start(progress)
        except BaseException:
            self._advance(VersionEvent.FAIL)
            self._stopping = True
            await asyncio.gather(*(item.stop(BRIEFLY_S) for item in self.instances), return_exceptions=True)
            self.arena.close()
            raise
        self._advance(VersionEvent.LOADED)
        for item in self.instances:
            if not item.alive:  # it was ready, and died while others were not
                self._supervisor.died(item)

    async def _start(self, progress: Progress) -> None:
        launcher = self._launcher
        specs = instance_specs(self.config)
        if not specs:
            self._judge()
            raise LoadFailure(f"model '{self.name}' has no instances", kind="Invalid argument")
        self.instances += [launcher.new_instance(spec) for spec in specs]
        first, others = self.instances[0], self.instances[1:]
        progress("import", first.name)
        returned = await launcher.import_model(first, self.config.to_json() if self._settings.auto_complete else None)
        if returned is not None:
            progress("auto_complete", first.name)
            self._adopt(returned)
        self._judge()
        launcher.args_config = returned if returned is not None else self.config.to_json()
        progress("initialize", first.name)
        results = await asyncio.gather(
            launcher.initialize(first, self._segments()),
            *(launcher.bring_up(item, self._segments()) for item in others),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _judge(self) -> None:
        """What is wrong with the complete configuration."""
        model_dir = self._launcher.model_dir
        searched = (os.path.join(model_dir, str(self.version)), model_dir)
        problems = [*validate_stage_a(self.config), *validate_stage_b(self.config, searched=searched)]
        if problems:
            raise LoadFailure(join_problems(problems), kind="Invalid argument")
        for output in self.config.outputs:
            path = os.path.join(model_dir, output.label_filename)
            if output.label_filename and not os.path.isfile(path):
                raise LoadFailure(f"failed to open text file for read {path}: No such file or directory")

    def _adopt(self, returned: str) -> None:
        """Take over what `auto_complete_config` may change."""
        self.config, problem = merge_auto_complete(self.config, returned)
        if problem:
            _log.warning("%s", problem)
        self.signature = Signature.from_config(self.config)
        self._launcher.config = self.config
        self._dispatcher = Dispatcher(self.config, self.instances, self._expired)

    def _segments(self) -> Sequence[Segment]:
        return tuple(self.arena.segments.values())

    # -- requests -----------------------------------------------------------------------------------------------------

    def new_job(self, nbytes: int, sink: Sink) -> tuple[Job, int, int]:
        """A job with `nbytes` of input memory: the job, its segment and its offset there.

        Raises `MemoryFull` when there is not as much memory now.
        """
        block = self.arena.allocate(nbytes)
        if block is None:
            raise self.memory_full(nbytes)
        return Job(self, self._memory, block.id, sink), block.segment, block.offset

    @property
    def crowded(self) -> bool:
        """Whether requests wait for memory."""
        return bool(self._hungry)

    def memory_full(self, nbytes: int) -> MemoryFull:
        """What to say when there is no room for `nbytes`."""
        limit = self._settings.arena_limit_nbytes
        return MemoryFull(
            f"model '{self.name}' has no shared memory left for a request of {nbytes} bytes: "
            f"{self.arena.used} of at most {limit} bytes are in use",
            for_good=nbytes > limit,
        )

    def wait_for_memory(self, retry: Callable[[], bool]) -> None:
        """Call `retry` whenever memory was freed, until it returns True; who came first is asked first."""
        self._hungry.append(retry)

    def _feed(self) -> None:
        while self._hungry and self._hungry[0]():
            self._hungry.popleft()

    def foreign_job(self, memory: Memory, block_id: int, sink: Sink) -> Job:
        """A job whose inputs lie in somebody else's memory."""
        return Job(self, memory, block_id, sink)

    def detach(self, segment_ids: Sequence[int]) -> None:
        """Client memory that no further job will refer to."""
        for instance in self.instances:
            instance.detach(segment_ids)

    def submit(self, job: Job) -> None:
        """Queue or dispatch a job; raises `PyServeError` when it is refused (then it is still the caller's)."""
        if self._stopping or self.state is VersionState.UNAVAILABLE:
            raise PyServeError(Code.UNAVAILABLE, self.reason or f"model '{self.name}' is not available")
        job.enqueue_ns = now_ns = time.monotonic_ns()
        self._dispatcher.offer(job, now_ns)

    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any more: drop it if it is queued, tell the model if it is running."""
        job.cancelled = True
        if self._dispatcher.cancel(job):
            self._count_failure(job, time.monotonic_ns())
            job.finish()
            return
        if job.instance is not None:
            job.instance.cancel(job)

    # -- what instances report ----------------------------------------------------------------------------------------

    def answered(self, instance: Instance, batch: list[Job], responses: list[Response], times: BatchTimes) -> None:
        """Deliver a batch's answers; the instance is given more work first, so that it does not wait for that."""
        now_ns = time.monotonic_ns()
        if self._dispatcher.waiting:
            self._dispatcher.pump(now_ns)
        for job, response in zip(batch, responses):
            _deliver(job, response)
        self._count(batch, times, now_ns)

    def died(self, instance: Instance, executing: list[Job], waiting: list[list[Job]]) -> None:
        """Fail what the stub was executing, keep what it had not started, and replace it."""
        for job in executing:
            instance.failures += 1
            self._fail(job, Code.INTERNAL, f"Stub process '{instance.name}' is not healthy.")
        self._dispatcher.put_back([self._still_wanted(batch) for batch in waiting])
        if self._stopping or self.state is not VersionState.READY:
            return
        self._supervisor.died(instance)
        self._dispatcher.pump(time.monotonic_ns())

    def _still_wanted(self, batch: list[Job]) -> list[Job]:
        for job in batch:
            if job.cancelled:
                self._fail(job, Code.CANCELLED, "")
        return [job for job in batch if not job.cancelled]

    async def restart(self) -> None:
        """Renew every instance without a failed request."""
        await self._supervisor.restart(self._settings.exit_timeout_s)

    def kill(self) -> list[Instance]:
        """End every process at once, whatever it is doing, and say which; those that serve are started again."""
        return self._supervisor.kill()

    def _instance_ready(self) -> None:
        self._dispatcher.pump(time.monotonic_ns())

    def _give_up(self, text: str) -> None:
        lines = [record.text for record in self._logs.tail(self.name, 20) if record.stream != "log"]
        self._advance(VersionEvent.FAIL)
        self.reason = "\n".join(part for part in (text, self._supervisor.last_error, *lines[-5:]) if part)
        _log.error("model '%s' version %d is UNAVAILABLE: %s", self.name, self.version, self.reason)
        for job in self._dispatcher.drain():
            self._fail(job, Code.UNAVAILABLE, self.reason)

    def _expired(self, job: Job) -> None:
        self._fail(job, Code.UNAVAILABLE, REQUEST_TIMEOUT_EXPIRED)

    def _fail(self, job: Job, code: Code, text: str) -> None:
        self._count_failure(job, time.monotonic_ns())
        _deliver(job, Response(job, code=code, text=text))

    def _count(self, batch: list[Job], times: BatchTimes, now_ns: int) -> None:
        if not batch:
            return
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
                now_ns - job.enqueue_ns,
                job.dispatched_ns - job.enqueue_ns,
                input_ns,
                infer_ns,
                output_ns,
                wall_ms,
            )
        statistics.record_execution(size, input_ns, infer_ns, output_ns)

    def _count_failure(self, job: Job, now_ns: int) -> None:
        self.statistics.record_failure(now_ns - job.enqueue_ns, int(time.time() * 1000))

    # -- the end ------------------------------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> None:
        """Wait until no request is left, at most `timeout_s`."""
        if self.outstanding:
            self._drained = self._loop.create_future()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drained, timeout_s)

    async def stop(self, timeout_s: float) -> None:
        """Finalise every instance and drop the memory; requests that are left are failed."""
        self._stopping = True
        await self._supervisor.stop(timeout_s)
        for job in self._dispatcher.drain():
            text = "Server is stopping, scheduler for model has stopped accepting new inference requests"
            self._fail(job, Code.UNAVAILABLE, text)
        self._dispatcher.close()
        if self._trim_timer is not None:
            self._trim_timer.cancel()
        self.arena.close()

    def job_ended(self) -> None:
        """A job is answered."""
        self.outstanding -= 1
        if self.outstanding:
            return
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._idle_since_s = self._loop.time()
        if self._trim_timer is None and not self._stopping:
            self._trim_timer = self._loop.call_later(_TRIM_AFTER_S, self._trim)

    def memory_freed(self) -> None:
        """A job's memory is free again."""
        if self._hungry:
            self._loop.call_soon(self._feed)

    def _trim(self) -> None:
        self._trim_timer = None
        if self.outstanding or self._stopping:
            return
        left_s = self._idle_since_s + _TRIM_AFTER_S - self._loop.time()
        if left_s > 0:
            self._trim_timer = self._loop.call_later(left_s, self._trim)
        else:
            self.arena.trim()
            for instance in self.instances:
                instance.trim()

    def _on_segment(self, segment: Segment) -> None:
        for instance in self.instances:
            if instance.alive and instance.pid:
                instance.attach((segment,), writable=True)

    def _advance(self, event: VersionEvent) -> None:
        self.state = advance(VERSION, self.state, event)


class _ArenaMemory:
    """The request arena as the memory of a job."""

    __slots__ = ("_arena", "free")

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.free = arena.free

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self._arena.view(segment, offset, nbytes)


def _deliver(job: Job, response: Response) -> None:
    if job.cancelled:
        response.release()
        return
    try:
        job.sink.deliver(job, response)
    except Exception:  # noqa: BLE001 - one front end's failure must not keep the answers of the others from leaving
        _log.exception("the answer to request %d was lost", job.key)
