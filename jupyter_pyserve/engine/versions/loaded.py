"""A loaded model version as front ends see it: what requests are checked against, the memory that they land in, and how
many there are. Who carries them out, a model's processes or the members of an ensemble, is for subclasses.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_pyserve.engine.job import Job, Memory, Response, Sink
from jupyter_pyserve.engine.memory.arena import Arena, Segment
from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.engine.stubs.admission import Admission
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.engine.tracing.sampler import Sampler
from jupyter_pyserve.engine.versions.launcher import Progress
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity, ModelConfig
from jupyter_pyserve.model.latencies import FIRST_RESPONSE, Latencies
from jupyter_pyserve.model.lifecycle import VERSION, VersionEvent, VersionState, advance
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.model.statistics import ModelStatistics
from jupyter_pyserve.settings import EngineSettings, MetricsSettings

if TYPE_CHECKING:
    from jupyter_pyserve.engine.cache.answers import Answers

_log = logging.getLogger(__name__)

#: Free memory is given back to the system after so long without a request.
_TRIM_AFTER_S = 10.0


class MemoryFull(PyServeError):
    """There is no room for a request: not now, or (`for_good`) never."""

    def __init__(self, message: str, *, for_good: bool) -> None:
        super().__init__(Code.UNAVAILABLE, message)
        self.for_good = for_good


class LoadedVersion(abc.ABC):
    """A model version that is loading, serving or draining."""

    def __init__(
        self,
        settings: EngineSettings,
        config: ModelConfig,
        version: int,
        regions: ClientRegions,
        traces: TraceBook,
    ) -> None:
        self.name = config.name
        self.version = version
        #: The repository that it comes from, where that tells models apart.
        self.namespace = ""
        #: What it was asked to be, and what it is: defaults of the model's own are filled in.
        self.source_config = self.config = config
        self.signature = Signature.from_config(config)
        self.statistics = ModelStatistics(_latencies(settings.metrics, config))
        #: Memory of clients in which tensors of requests may lie.
        self.regions = regions
        #: Whether inputs that lie on devices are passed on as they are; else they are fetched.
        self.takes_device_inputs = False
        #: Who samples its requests, if any may be traced.
        self.tracer: Sampler | None = None
        self.instances: list[Instance] = []
        #: How often each was started again after a death, and how its last process ended by itself.
        self.restarts: dict[str, int] = {}
        self.last_exits: dict[str, str] = {}
        #: The answers that are kept, where they are.
        self.answers: Answers | None = None
        self.outstanding = 0
        self.plans: dict[Any, Any] = {}
        self.state = VersionState.UNAVAILABLE
        self.reason = ""
        self.load_s = self._load_began_s = 0.0
        self._settings = settings
        self.arena = Arena("pyserve-requests", settings.arena_limit_nbytes, self._on_segment)
        self._memory = _ArenaMemory(self.arena)
        self._hungry: deque[Callable[[], bool]] = deque()
        self._trim_timer: asyncio.TimerHandle | None = None
        self._idle_since_s = 0.0
        self._drained: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        #: Whether new requests are refused, for whatever reason but its state.
        self._refusing = False
        self.admission = Admission(lambda: not self.outstanding, self._admit)
        traces.enroll(self)

    @property
    def stopping(self) -> bool:
        """Whether it is being unloaded, or is."""
        return self._stopping

    @property
    def identity(self) -> Identity:
        """Which model this is a version of."""
        return Identity(self.namespace, self.name)

    # -- what subclasses do -------------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def ready(self) -> bool:
        """Whether a request would be executed now."""

    @property
    def pending(self) -> int:
        """How many requests wait for their execution to begin."""
        return 0

    @property
    def last_error(self) -> str:
        """Why an instance cannot be started at present, or why none is."""
        return self.reason

    @abc.abstractmethod
    async def start(self, progress: Progress) -> None:
        """Load it; raises `LoadFailure` and leaves nothing behind when it cannot be loaded."""

    @abc.abstractmethod
    def submit(self, job: Job) -> None:
        """Queue or dispatch a job; raises `PyServeError` when it is refused (then it is still the caller's)."""

    @abc.abstractmethod
    def cancel(self, job: Job) -> None:
        """Nobody waits for this job any more: drop it if it is queued, tell the model if it is running."""

    @abc.abstractmethod
    async def stop(self, timeout_s: float) -> None:
        """End it and drop the memory; requests that are left are failed."""

    async def update(self, config: ModelConfig) -> None:
        """Take over what `config` says of instances and versions, which is all that it says anew.

        Raises `LoadFailure`, and then nothing has changed.
        """
        self.config, self.source_config = self.config.with_instances_of(config), config

    def abandon_update(self) -> None:  # noqa: B027 - a hook
        """Give up on an `update` that waits for something: it fails."""

    async def updated(self) -> None:  # noqa: B027 - a hook
        """Wait until nothing is left of how it was before its `update`."""

    async def restart(self) -> None:  # noqa: B027 - a hook
        """Renew every instance without a failed request."""

    def kill(self) -> list[Instance]:
        """End every process at once, whatever it is doing, and say which; those that serve are started again."""
        return []

    def look_at_recorder(self) -> None:  # noqa: B027 - a hook
        """What is kept of requests has changed; of an ensemble's, its members' are."""

    def detach(self, segment_ids: Sequence[int]) -> None:  # noqa: B027 - a hook
        """Client memory that no further job will refer to."""

    def parts(self, job: Job) -> Sequence[Job]:
        """The jobs that this one consists of at present; none where it is carried out by a process."""
        return ()

    @property
    def members(self) -> Sequence[LoadedVersion]:
        """The versions that carry out its requests; none where processes of its own do."""
        return ()

    # -- requests -----------------------------------------------------------------------------------------------------

    def new_job(self, nbytes: int, sink: Sink) -> tuple[Job, int, int]:
        """A job with `nbytes` of input memory: the job, its segment and its offset there.

        Raises `MemoryFull` when there is not as much memory now.
        """
        block = self.arena.allocate(nbytes)
        if block is None:
            raise self.memory_full(nbytes)
        block_id, segment, offset, _ = block
        return Job(self, self._memory, block_id, sink), segment, offset

    def foreign_job(self, memory: Memory, block_id: int, sink: Sink) -> Job:
        """A job of another model's or a notebook's, whose inputs lie in its memory."""
        job = Job(self, memory, block_id, sink)
        job.inner = True
        return job

    @property
    def crowded(self) -> bool:
        """Whether requests wait for memory."""
        return bool(self._hungry)

    def memory_full(self, nbytes: int) -> MemoryFull:
        """What to say when there is no room for `nbytes`."""
        limit = self._settings.arena_limit_nbytes
        return MemoryFull(
            f"Failed to increase the shared memory pool size for a request of {nbytes} bytes to model '{self.name}': "
            f"{self.arena.used} of at most {limit} bytes are in use",
            for_good=nbytes > limit,
        )

    def wait_for_memory(self, retry: Callable[[], bool]) -> None:
        """Call `retry` whenever memory was freed, until it returns True; who came first is asked first."""
        self._hungry.append(retry)

    def _feed(self) -> None:
        while self._hungry:
            try:
                done = self._hungry[0]()
            except Exception:  # noqa: BLE001 - whoever waits behind it has room all the same
                _log.exception("a request that waited for memory failed")
                done = True
            if not done:
                return
            self._hungry.popleft()

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

    async def drain(self, timeout_s: float) -> None:
        """Wait until no request is left, at most `timeout_s`."""
        if self.outstanding:
            self._drained = self._loop.create_future()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._drained, timeout_s)

    # -- for subclasses -----------------------------------------------------------------------------------------------

    def _require_available(self) -> None:
        if self._refusing or self.state is VersionState.UNAVAILABLE:
            if not self.admission.open:
                text = f"model '{self.name}' is being drained and takes no new requests"
                raise PyServeError(Code.UNAVAILABLE, text)
            raise PyServeError(Code.UNAVAILABLE, self.reason or f"model '{self.name}' is not available")

    def _admit(self, taking: bool) -> None:
        self._refusing = self._stopping or not taking

    def _begin_to_stop(self) -> None:
        self._stopping = self._refusing = True

    def _on_segment(self, segment: Segment) -> None:  # noqa: B027 - a hook
        """The request arena has grown."""

    def _on_idle(self) -> None:  # noqa: B027 - a hook
        """There was no request for a while."""

    def _close_memory(self) -> None:
        if self._trim_timer is not None:
            self._trim_timer.cancel()
        self.arena.close()

    def _advance(self, event: VersionEvent) -> None:
        self.state = advance(VERSION, self.state, event)
        if event is VersionEvent.LOAD:
            self._load_began_s = time.monotonic()
        elif event is VersionEvent.LOADED:
            self.load_s = round(time.monotonic() - self._load_began_s, 6)

    def _trim(self) -> None:
        self._trim_timer = None
        if self.outstanding or self._stopping:
            return
        left_s = self._idle_since_s + _TRIM_AFTER_S - self._loop.time()
        if left_s > 0:
            self._trim_timer = self._loop.call_later(left_s, self._trim)
        else:
            self.arena.trim()
            self._on_idle()


def _latencies(asked: MetricsSettings, config: ModelConfig) -> Latencies | None:
    if not asked.histogram_latencies and not asked.summary_latencies:
        return None
    own = config.histogram_bounds.get(FIRST_RESPONSE, asked.first_response_bounds_ms)
    bounds = own if asked.histogram_latencies else None
    return Latencies(summaries=asked.summary_latencies, first_response_bounds_ms=bounds)


class _ArenaMemory:
    """The request arena as the memory of a job."""

    __slots__ = ("_arena", "free")

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self.free = arena.free

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        return self._arena.view(segment, offset, nbytes)

    def segment(self, segment_id: int) -> Segment:
        return self._arena.segment(segment_id)


def deliver(job: Job, response: Response) -> None:
    """Give an answer to whoever waits for it; to nobody when the job was cancelled."""
    if job.cancelled:
        response.release()
        return
    try:
        job.sink.deliver(job, response)
    except Exception:  # noqa: BLE001 - one front end's failure must not keep the answers of the others from leaving
        _log.exception("the answer to request %d was lost", job.key)
