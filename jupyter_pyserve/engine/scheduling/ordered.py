"""Model versions whose answers leave in the order of their requests, whichever instance gave them, or the cache.

Nothing here runs for other models. What order that is, is `model.ordering`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jupyter_pyserve.engine.cache.versions import CachedServable
from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.versions.loaded import LoadedVersion, deliver
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.model.ordering import ReleaseOrder


class _Held(NamedTuple):
    """An answer that may have to wait; its memory stays even if the process that gave it ends."""

    job: Job
    response: Response
    sink: Sink
    pinned: Sequence[Segment]

    def unpin(self) -> None:
        for segment in self.pinned:
            segment.unpin()


class _Queue:
    """Takes the answers of all jobs of a model version before those who wait for them."""

    def __init__(self) -> None:
        self._order: ReleaseOrder[Job, _Held] = ReleaseOrder()
        self._releasing = False

    def enter(self, job: Job) -> Sink:
        """A job has come; who waited for its answer."""
        sink = job.sink
        job.sink = _InOrder(self, sink)
        self._order.enter(job)
        return sink

    def give(self, job: Job, response: Response, sink: Sink) -> None:
        """An answer. One that says that nobody carries the job out is no part of the order: it leaves at once."""
        if response.code is not None and job.instance is None:
            self._order.leave(job)
            sink.deliver(job, response)
        else:
            self._order.give(job, _Held(job, response, sink, response.pin()), final=response.final)
        self.release()

    def leave(self, job: Job) -> None:
        """Nobody waits for this job any more."""
        for held in self._order.leave(job):
            held.response.release()
            held.unpin()
        self.release()

    def release(self) -> None:
        """Deliver what may leave now; a request that comes meanwhile, and is answered at once, waits for its turn."""
        if self._releasing:
            return
        self._releasing = True
        try:
            while (held := self._order.take()) is not None:
                here, held.job.sink = held.job.sink, held.sink
                deliver(held.job, held.response)
                held.job.sink = here
                held.unpin()
        finally:
            self._releasing = False


class _InOrder:
    """Stands before who waits for a job's answer."""

    __slots__ = ("_queue", "_sink")

    def __init__(self, queue: _Queue, sink: Sink) -> None:
        self._queue = queue
        self._sink = sink

    def deliver(self, job: Job, response: Response) -> None:
        """Not before all that came earlier are answered."""
        self._queue.give(job, response, self._sink)


class _Ordered(LoadedVersion):
    """Stands before the class that carries requests out."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._queue = _Queue()

    def submit(self, job: Job) -> None:
        """Have its place kept."""
        sink = self._queue.enter(job)
        try:
            super().submit(job)  # type: ignore[safe-super]
        except BaseException:
            job.sink = sink
            self._queue.leave(job)
            raise

    def cancel(self, job: Job) -> None:
        """Nobody waits for it, so nobody has to wait behind it."""
        super().cancel(job)  # type: ignore[safe-super]
        self._queue.leave(job)


class OrderedServable(_Ordered, Servable):
    """A model whose answers are always new."""


class OrderedCachedServable(_Ordered, CachedServable):
    """A model whose answers may have been given before: these wait for their turn, too."""
