"""Carrying out what a scheduler decides: which instance gets which batch, and when to look again.

Owns the timer. The rules of batching are `model.batching`'s; what an answer means is the servable's.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.batching import DefaultScheduler, DynamicBatcher, Scheduler
from jupyter_pyserve.model.config import ModelConfig
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.sequence_turns import Refusal
from jupyter_pyserve.model.sequences import NOT_RESCHEDULABLE

#: A model that is faster than this gets its next work while it executes, so that it never idles.
_FAST_NS = 1_000_000

#: Several batches go to a stub in one packet, as many as it executes in about this time.
_PACKET_NS = 200_000
_PACKET_BATCHES = 8

#: A model that needs less time for a request than the engine is given half of what there is, so that both work at the
#: same time, and that as soon as it is much, even while it executes; but not so little that a batch costs more than
#: its requests.
_LIGHT_NS = 10_000
_SMALL_SHARE = 16


class Dispatcher:
    """Queue and instances of one model version."""

    def __init__(self, config: ModelConfig, instances: Iterable[Instance], on_expired: Callable[[Job], None]) -> None:
        self._instances = instances
        self._on_expired = on_expired
        self._scheduler: Scheduler[Job]
        self._timed = config.dynamic_batching is not None
        if config.dynamic_batching is not None:
            self._scheduler = DynamicBatcher(
                config.dynamic_batching,
                max_batch_size=config.max_batch_size,
                hold_until=int(os.environ.get("TRITONSERVER_DELAY_SCHEDULER", "0")),
            )
        else:
            self._scheduler = DefaultScheduler()
        #: Whether batches are made of what there is: nothing is waited for, and no size but the largest is better.
        self._plain = (
            config.dynamic_batching is not None
            and not self._scheduler.clocked
            and {config.max_batch_size}.issuperset(config.dynamic_batching.preferred_batch_size)
        )
        self._looking_soon = False
        self._returned: deque[list[Job]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def queued(self) -> int:
        """How many jobs no instance has been given."""
        return len(self._scheduler) + sum(map(len, self._returned))

    @property
    def waiting(self) -> bool:
        """Whether anything is queued."""
        return bool(self._returned) or len(self._scheduler) > 0

    def offer(self, job: Job, now_ns: int) -> None:
        """Queue a job, and run it if an instance is free; raises `PyServeError` when the queue is full.

        Batches are made at the end of the loop's turn: what arrives together is executed together, unless it is much.
        """
        if not self._timed and not self._returned and not len(self._scheduler):
            instance = self._free_instance()
            if instance is not None:  # nothing to decide
                instance.execute([[job]], now_ns)
                return
        self._scheduler.offer(job, job.enqueue_ns)
        if not self._plain or (len(self._scheduler) % _SMALL_SHARE == 0 and all(map(_is_light, self._instances))):
            self.pump(now_ns)
        elif not self._looking_soon:
            self._looking_soon = True
            self._loop.call_soon(self._look)

    def set_apart(self, job: Job) -> None:
        """Before a job goes to an instance without having been queued: there is nothing to say about it."""

    def cancel(self, job: Job) -> bool:
        """Drop a queued job; False when it is not queued."""
        for batch in self._returned:
            if job in batch:
                batch.remove(job)
                return True
        return self._scheduler.cancel(job)

    def suspend_timeouts(self, suspended: bool, now_ns: int) -> None:
        """Let nothing that is queued expire, or go on counting from where that began."""
        if suspended != self._scheduler.suspended:
            self._scheduler.suspend(now_ns) if suspended else self._scheduler.resume(now_ns)
            self.pump(now_ns)

    def reschedule(self, instance: Instance, jobs: Sequence[Job], now_ns: int) -> list[Refusal[Job]]:
        """A model wants to see these jobs again: only a sequence batcher can do that."""
        return [Refusal(job, Code.INTERNAL, NOT_RESCHEDULABLE) for job in jobs]

    def put_back(self, batches: list[list[Job]]) -> None:
        """Batches that a stub was given and never started go first."""
        self._returned.extendleft(batch for batch in reversed(batches) if batch)

    def _look(self) -> None:
        self._looking_soon = False
        self.pump(time.monotonic_ns())

    def pump(self, now_ns: int, answering: int = 0) -> None:
        """Give work to every instance that can take some, while so many requests are `answering`."""
        while self._returned or len(self._scheduler):
            instance = self._free_instance()
            if instance is None:
                break
            batches = self._next_batches(self._room(instance), now_ns, self._share(instance, answering))
            if not batches:
                break
            instance.execute(batches, now_ns)
        if self._scheduler.clocked:
            self._look_again(now_ns)

    def _share(self, instance: Instance, answering: int) -> int:
        """How many requests its next batch may be made of."""
        if not self._plain or not _is_light(instance):
            return sys.maxsize
        return max(_SMALL_SHARE, (len(self._scheduler) + answering + 1) // 2)

    def _next_batches(self, count: int, now_ns: int, most: int) -> list[list[Job]]:
        batches: list[list[Job]] = []
        while len(batches) < count:
            batch = self._returned.popleft() if self._returned else self._scheduler.next_batch(now_ns, most)
            if batch is None:
                break
            if batch:  # one whose jobs were all cancelled is empty
                batches.append(batch)
        return batches

    def _room(self, instance: Instance) -> int:
        """How many batches an instance gets at once: more than one only when all others have work too."""
        if self._timed or instance.calls_others:
            return 1
        if not instance.in_flight and any(
            other is not instance and other.state is StubState.READY for other in self._instances
        ):
            return 1
        return max(1, min(_PACKET_BATCHES, instance.room, int(_PACKET_NS / max(instance.average_ns, 1.0))))

    def release(self, instance: Instance) -> asyncio.Future[None] | None:
        """An instance is to leave: it gets nothing more, so there is nothing to wait for but what it has."""
        return None

    def drain(self) -> list[Job]:
        """Everything that is queued, taken out."""
        jobs = [job for batch in self._returned for job in batch]
        self._returned.clear()
        return jobs + self._scheduler.drain()

    def close(self) -> None:
        """No timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self, now_ns: int) -> None:
        for job in self._scheduler.expire(now_ns):
            self._on_expired(job)
        self.close()
        if not len(self._scheduler):
            return
        due_ns = self._scheduler.next_wakeup_ns(now_ns)
        if due_ns is not None and (due_ns > now_ns or self._free_instance() is not None):
            self._timer = self._loop.call_later(max(0, due_ns - now_ns) / 1e9, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.pump(time.monotonic_ns())

    def _free_instance(self) -> Instance | None:
        """An idle instance, else a fast one that has nothing waiting.

        With a batcher only a light one, and only if there is much: what is held back may still find company.
        """
        fast: Instance | None = None
        much = self._plain and len(self._scheduler) >= _SMALL_SHARE
        for instance in self._instances:
            if not instance.in_flight:
                if instance.state is StubState.READY and instance.room > 0:
                    return instance
            elif (
                instance.outstanding == 1
                and (_is_light(instance) if much else not self._timed and instance.average_ns < _FAST_NS)
                and instance.state is StubState.BUSY
                and instance.room > 0
            ):
                fast = fast if instance.calls_others else instance
        return fast


def _is_light(instance: Instance) -> bool:
    return instance.average_ns <= _LIGHT_NS * instance.average_size
