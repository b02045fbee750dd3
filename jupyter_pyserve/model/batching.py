"""Decides which waiting requests run together and when, for models with and without a dynamic batcher.

Owns arrival order, priorities, and the choice of a batch. Carries nothing out and reads no clock: the engine asks
`next_batch` whenever an instance could take work, and again at `next_wakeup_ns`.
"""

from __future__ import annotations

import sys
from bisect import insort
from collections import deque
from collections.abc import Iterable
from itertools import chain, islice
from operator import itemgetter
from typing import Generic, Protocol, TypeAlias

from jupyter_pyserve.model.queueing import Level, Queued, RequestT
from jupyter_pyserve.model.scheduling import DynamicBatching

__all__ = ["Batch", "DefaultScheduler", "DynamicBatcher", "Queued", "Scheduler"]

# The requests of one execution, in the order in which the model receives them.
Batch: TypeAlias = list[RequestT]


class Scheduler(Protocol[RequestT]):
    """What the engine asks of either scheduler."""

    def offer(self, request: RequestT, now_ns: int) -> None:
        """Queue a request; raises `PyServeError` when its queue is full."""

    def cancel(self, request: RequestT) -> bool:
        """Drop a waiting request; False when it is not waiting (any more)."""

    def next_batch(self, now_ns: int, most: int = sys.maxsize) -> Batch[RequestT] | None:
        """What an instance should execute now, `most` requests and no more, or None to wait."""

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """When to ask again although nothing arrived and nothing finished; None for never."""

    @property
    def clocked(self) -> bool:
        """Whether it ever acts because time has passed; else nothing expires, and there is no wake-up."""

    @property
    def suspended(self) -> bool:
        """Whether time does not count at present."""

    def suspend(self, now_ns: int) -> None:
        """Nothing expires until `resume`."""

    def resume(self, now_ns: int) -> None:
        """Time counts again; what waited meanwhile may wait so much longer."""

    def expire(self, now_ns: int) -> list[RequestT]:
        """The requests that waited too long and are to be answered with `REQUEST_TIMEOUT_EXPIRED`."""

    def drain(self) -> list[RequestT]:
        """Give up on everything that is waiting, whatever it was waiting for."""

    def __len__(self) -> int:
        """How many requests are waiting."""


class DefaultScheduler(Generic[RequestT]):
    """First in, first out, one request an execution; timeouts and priorities have no effect."""

    __slots__ = ("_queue",)

    clocked = False
    suspended = False

    def __init__(self) -> None:
        self._queue: deque[RequestT] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def offer(self, request: RequestT, now_ns: int) -> None:
        self._queue.append(request)

    def cancel(self, request: RequestT) -> bool:
        if request not in self._queue:
            return False
        self._queue.remove(request)
        return True

    def next_batch(self, now_ns: int, most: int = sys.maxsize) -> Batch[RequestT] | None:
        queue = self._queue
        return [queue.popleft()] if queue else None

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        return None

    def suspend(self, now_ns: int) -> None:
        pass

    def resume(self, now_ns: int) -> None:
        pass

    def expire(self, now_ns: int) -> list[RequestT]:
        return []

    def drain(self) -> list[RequestT]:
        waiting = list(self._queue)
        self._queue.clear()
        return waiting


class _Candidate:
    """The batch being gathered: how far the walk from the queue's head has come, and the best place to cut it."""

    __slots__ = ("closed", "count", "marked", "oldest_ns", "shape_key", "size")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.size = 0
        self.oldest_ns = 0
        self.shape_key: object = None
        # Number of requests that make up the preferred batch hit last; 0 for none.
        self.marked = 0
        # The next request in line cannot join, so waiting cannot make this batch any larger.
        self.closed = False


class DynamicBatcher(Generic[RequestT]):
    """Gathers requests up to a preferred size or a delay, by strict priority, first in first out within a level."""

    __slots__ = (
        "_candidate",
        "_default_level",
        "_delay_ns",
        "_hold_until",
        "_levels",
        "_max_batch",
        "_max_preferred",
        "_only",
        "_order",
        "_policies",
        "_preferred",
        "_priority_levels",
        "_rejected",
        "_suspended_ns",
        "clocked",
    )

    def __init__(self, config: DynamicBatching, *, max_batch_size: int, hold_until: int = 0) -> None:
        """`hold_until` keeps everything waiting until that many requests are queued, once."""
        self._max_batch = max(1, max_batch_size)
        self._preferred = frozenset(config.preferred_batch_size)
        self._max_preferred = max(self._preferred, default=0)
        self._delay_ns = config.max_queue_delay_us * 1000
        self._priority_levels = config.priority_levels
        self._default_level = config.default_priority_level
        self._policies = config
        # Levels come to exist when first used: a configuration may name more of them than there is memory for.
        self._levels: dict[int, Level[RequestT]] = {}
        self._order: list[tuple[int, Level[RequestT]]] = []
        # The one queue of a batcher without priorities and timeouts: only there does the walk survive from ask to ask.
        self._only: deque[RequestT] | None = None
        self._candidate = _Candidate()
        self._rejected: list[RequestT] = []
        self._suspended_ns: int | None = None
        self._hold_until = hold_until
        if self._priority_levels == 0:
            level = self._level(0)
            self._only = None if level.timed else level.main
        self.clocked = self._only is None or self._delay_ns > 0

    def __len__(self) -> int:
        if self._only is not None:
            return len(self._only)
        return sum(len(level) for _, level in self._order)

    def offer(self, request: RequestT, now_ns: int) -> None:
        self._level_of(request).offer(request, now_ns)

    def cancel(self, request: RequestT) -> bool:
        self._candidate.reset()
        return self._level_of(request).cancel(request)

    @property
    def suspended(self) -> bool:
        return self._suspended_ns is not None

    def suspend(self, now_ns: int) -> None:
        self._suspended_ns = now_ns

    def resume(self, now_ns: int) -> None:
        if self._suspended_ns is not None:
            for _, level in self._order:
                level.extend(now_ns - self._suspended_ns)
        self._suspended_ns = None

    def expire(self, now_ns: int) -> list[RequestT]:
        if self._only is not None:
            return []
        self._sweep(now_ns)
        rejected, self._rejected = self._rejected, []
        return rejected

    def next_batch(self, now_ns: int, most: int = sys.maxsize) -> Batch[RequestT] | None:
        if self._hold_until:
            if len(self) < self._hold_until:
                return None
            self._hold_until = 0
        candidate = self._candidate
        if self._only is None:
            self._sweep(now_ns)
            candidate.reset()
        if not candidate.closed:
            self._walk(most)
        if candidate.count == 0:
            return None
        count = self._decide(now_ns)
        return self._take(min(count, most)) if count else None

    def next_wakeup_ns(self, now_ns: int) -> int | None:
        """The end of the gathering delay or the next timeout, whichever comes first.

        The delay counts only after `next_batch` looked and chose to wait, so a busy model is not woken for it.
        """
        if self._rejected:
            return now_ns
        due: list[int] = []
        if self._delay_ns and self._candidate.count and not self._hold_until:
            due.append(self._candidate.oldest_ns + self._delay_ns)
        if self._only is None and self._suspended_ns is None:
            due.extend(d for _, level in self._order if (d := level.next_deadline_ns()) is not None)
        return max(now_ns, min(due)) if due else None

    def drain(self) -> list[RequestT]:
        waiting = [*self._rejected, *self._waiting()]
        self._candidate.reset()
        self._rejected = []
        for _, level in self._order:
            level.clear()
        return waiting

    def _level(self, number: int) -> Level[RequestT]:
        level = self._levels.get(number)
        if level is None:
            level = self._levels[number] = Level(self._policies.policy(number))
            insort(self._order, (number, level), key=itemgetter(0))
        return level

    def _level_of(self, request: RequestT) -> Level[RequestT]:
        if self._priority_levels == 0:
            return self._levels[0]
        number = request.priority
        return self._level(number if 0 < number <= self._priority_levels else self._default_level)

    def _waiting(self) -> Iterable[RequestT]:
        if self._only is not None:
            return self._only
        return chain.from_iterable(chain(level.main, level.delayed) for _, level in self._order)

    def _sweep(self, now_ns: int) -> None:
        changed = False
        for _, level in self._order if self._suspended_ns is None else ():
            if level.timed:
                moved, rejected = level.sweep(now_ns)
                changed = changed or moved
                self._rejected += rejected
        if changed:
            self._candidate.reset()

    def _walk(self, most: int) -> None:
        """Add what is waiting behind the candidate to it, until there are enough or a request cannot join."""
        candidate = self._candidate
        for request in islice(self._waiting(), candidate.count, max(candidate.count, most)):
            size = request.batch_size or 1
            total = candidate.size + size
            if candidate.count == 0:
                candidate.shape_key = request.shape_key
                candidate.oldest_ns = request.enqueue_ns
            else:
                if total > self._max_preferred and candidate.marked == 0:
                    candidate.marked = candidate.count
                if total > self._max_batch or request.shape_key != candidate.shape_key:
                    candidate.closed = True
                    return
                candidate.oldest_ns = min(candidate.oldest_ns, request.enqueue_ns)
            candidate.count += 1
            candidate.size = total
            if total in self._preferred:
                candidate.marked = candidate.count

    def _decide(self, now_ns: int) -> int:
        """How many requests to send now; 0 to wait for more."""
        candidate = self._candidate
        overdue = self._delay_ns > 0 and now_ns - candidate.oldest_ns >= self._delay_ns
        if candidate.marked and not overdue:
            return candidate.marked
        if candidate.closed or overdue or self._delay_ns == 0 or candidate.size >= self._max_preferred:
            return candidate.count
        return 0

    def _take(self, count: int) -> Batch[RequestT]:
        self._candidate.reset()
        if self._only is not None:
            popleft = self._only.popleft
            return [popleft() for _ in range(count)]
        batch: Batch[RequestT] = []
        for _, level in self._order:
            for waiting in (level.main, level.delayed):
                while waiting and len(batch) < count:
                    request = waiting.popleft()
                    level.forget(request)
                    batch.append(request)
        return batch
