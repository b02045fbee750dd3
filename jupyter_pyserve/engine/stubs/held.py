"""Exactly which requests one stub holds: given and not begun, executing, and open until their last response.

A batch is at the head of the queue until it is over or, when it goes on as a coroutine, until the stub says that the
next one may begin. A request that its sender answers is open until FINAL. Knows no frames and no processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job


class OpenBatch:
    """A batch that is answered in parts: how many of its requests are `left`, and whether `execute` is `over`."""

    __slots__ = ("aside", "jobs", "left", "over")

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.left = len(jobs)
        self.over = False
        #: Whether it has left the queue.
        self.aside = False


class Held:
    """The requests of one stub."""

    __slots__ = ("_coroutines", "_head", "_open", "aside", "in_flight")

    def __init__(self) -> None:
        #: What the stub executes one after the other; the first is executing.
        self.in_flight: deque[list[Job]] = deque()
        #: How many batches are not in that queue any more, and not answered to the end.
        self.aside = 0
        self._open: dict[int, tuple[Job, OpenBatch]] = {}
        self._coroutines: dict[int, OpenBatch] = {}
        self._head: OpenBatch | None = None

    def __bool__(self) -> bool:
        return bool(self.in_flight) or self.aside > 0

    @property
    def coroutines(self) -> int:
        """How many batches go on by themselves."""
        return len(self._coroutines)

    def begun(self, key: int) -> None:
        """The head of the queue goes on by itself; `key` is its first request's."""
        if not self.in_flight or self.in_flight[0][0].key != key:
            raise WireError("another batch was begun")
        batch = self._open_head()
        self._leave(batch)
        self._coroutines[key] = batch
        self._put_aside(batch)

    def executed(self, keys: Sequence[int]) -> list[Job]:
        """The batch of these requests, for which `execute` can be over now."""
        batch = self._coroutines.get(keys[0]) if self._coroutines and keys else None
        if batch is None and not self.in_flight:
            raise WireError("an answer to nothing")
        jobs = self.in_flight[0] if batch is None else batch.jobs
        if keys != [job.key for job in jobs]:
            raise WireError("an answer to other requests")
        return jobs

    def over(self, key: int) -> tuple[OpenBatch | None, bool]:
        """`execute` is over for the batch whose first request this is: its record, if parts of it are answered by
        themselves, and whether it was the queue's head."""
        batch = self._coroutines.pop(key, None) if self._coroutines else None
        in_turn = batch is None
        if in_turn:
            batch, self._head = self._head, None
            self.in_flight.popleft()
        if batch is not None:
            batch.over = True
        return batch, in_turn

    def keep_open(self, jobs: list[Job]) -> OpenBatch:
        """Requests of a batch that is over, which its senders will answer."""
        batch = self._opened(jobs)
        batch.over = True
        return batch

    def settle(self, batch: OpenBatch) -> None:
        """All that was answered when `execute` was over is accounted for."""
        if batch.left and not batch.aside:
            self._put_aside(batch)
        elif not batch.left:
            self._close(batch)

    def find(self, key: int) -> Job | None:
        """The request, if it may be answered now; the queue's head may be, from its first response on."""
        entry = self._open.get(key)
        if entry is None and self._head is None and self.in_flight:
            self._open_head()
            entry = self._open.get(key)
        return entry[0] if entry is not None else None

    def end(self, key: int) -> bool:
        """The request is answered to the end; False when it was so before."""
        entry = self._open.pop(key, None)
        if entry is None:
            return False
        batch = entry[1]
        batch.left -= 1
        if not batch.left and batch.over:
            self._close(batch)
        return True

    def abandon(self) -> tuple[list[Job], list[Job], list[list[Job]]]:
        """Everything, when the stub is gone: what was executing, what was only open, the batches that had not begun."""
        executing = [job for job, batch in self._open.values() if not batch.over]
        left_open = [job for job, batch in self._open.values() if batch.over]
        waiting = list(self.in_flight)
        if waiting:
            first = waiting.pop(0)
            if self._head is None:
                executing += first
        self.in_flight.clear()
        self._open.clear()
        self._coroutines.clear()
        self._head = None
        self.aside = 0
        return executing, left_open, waiting

    def unread(self) -> list[Job]:
        """The requests whose inputs the stub may be reading, but for those of batches that are over."""
        return [job for batch in (*self.in_flight, *(item.jobs for item in self._coroutines.values())) for job in batch]

    def _open_head(self) -> OpenBatch:
        if self._head is None:
            self._head = self._opened(self.in_flight[0])
        return self._head

    def _opened(self, jobs: list[Job]) -> OpenBatch:
        batch = OpenBatch(jobs)
        for job in jobs:
            self._open[job.key] = (job, batch)
        return batch

    def _leave(self, batch: OpenBatch) -> None:
        assert batch is self._head
        self._head = None
        self.in_flight.popleft()

    def _put_aside(self, batch: OpenBatch) -> None:
        batch.aside = True
        self.aside += 1

    def _close(self, batch: OpenBatch) -> None:
        if batch.aside:
            batch.aside = False
            self.aside -= 1
