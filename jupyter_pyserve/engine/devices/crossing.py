"""What of one request crosses between clients' memory on devices and host memory: inputs before, outputs after.

A request is queued when its inputs have arrived, and an answer goes to its front end when its outputs have, so that
schedulers, models and front ends see requests as any other. Answers stay in their order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion, Target
from jupyter_pyserve.engine.memory.regions import Devices
from jupyter_pyserve.engine.tracing.watch import Watch
from jupyter_pyserve.engine.versions.loaded import deliver
from jupyter_pyserve.errors import Code, PyServeError

_log = logging.getLogger(__name__)


class Fetch(NamedTuple):
    """An input on its way: so many bytes of a region, to a place in a segment."""

    region: CudaRegion
    at: int
    nbytes: int
    to: tuple[Segment, int]


class Crossing:
    """The inputs of one request that have to be fetched first; `outputs` are where the client wants outputs."""

    def __init__(self, devices: Devices, fetches: list[Fetch], outputs: Mapping[str, Target]) -> None:
        self._devices = devices
        self._fetches = fetches
        self._outputs = outputs

    def stand_before(self, job: Job) -> None:
        """Have its answers' outputs taken to where the client wants them."""
        if not self._outputs:
            return
        if isinstance(job.sink, Watch):
            job.sink.precede(self._departure)
        else:
            job.sink = self._departure(job.sink)

    def _departure(self, sink: Sink) -> Departures:
        return Departures(self._devices, self._outputs, sink)

    def begin(self, job: Job, queue: Callable[[], None]) -> None:
        """Fetch the inputs, then `queue` the job; what goes wrong becomes its answer."""
        left, failures = len(self._fetches), list[str]()

        def arrived(failure: str | None) -> None:
            nonlocal left
            left -= 1
            if failure is not None:
                failures.append(failure)
            if not left:
                _go_on(job, queue, failures)

        for region, at, nbytes, to in self._fetches:
            self._devices.fetch(region, at, nbytes, to, arrived)
        if not self._fetches:
            queue()


def _go_on(job: Job, queue: Callable[[], None], failures: list[str]) -> None:
    if job.cancelled:
        job.finish()
        return
    try:
        if failures:
            raise PyServeError(Code.INTERNAL, f"an input could not be read from its device: {failures[0]}")
        queue()
    except PyServeError as error:
        deliver(job, Response(job, error.code, error.message))
    except Exception:  # noqa: BLE001 - nobody else would answer: its version may be gone, and its memory with it
        _log.exception("request %d could not be queued", job.key)
        deliver(job, Response(job, Code.INTERNAL, "internal error"))


class _Departure:
    """An answer, and how many of its outputs have not arrived."""

    __slots__ = ("failure", "job", "left", "pinned", "response")

    def __init__(self, job: Job, response: Response) -> None:
        self.job = job
        self.response = response
        self.pinned = response.pin()
        self.left = 0
        self.failure: str | None = None


class Departures:
    """Stands before who waits for the answers of one request."""

    def __init__(self, devices: Devices, outputs: Mapping[str, Target], sink: Sink) -> None:
        self._devices = devices
        self._outputs = outputs
        self._sink = sink
        self._queue: deque[_Departure] = deque()

    def deliver(self, job: Job, response: Response) -> None:
        """An answer, which leaves when its outputs are where they belong, and after those before it."""
        departure = _Departure(job, response)
        self._queue.append(departure)
        departure.left += 1  # until all are begun
        if response.code is None and not response.bare:
            try:
                self._store(departure)
            except (WireError, PyServeError) as error:
                departure.failure = str(error)
        self._arrived(departure, None)

    def _store(self, departure: _Departure) -> None:
        job, response = departure.job, departure.response
        for meta, descriptor in zip(response.tensors, response.places()):
            target = self._outputs.get(meta.name)
            segment_id, offset, nbytes, _ = descriptor
            if target is None or not 0 < nbytes <= target.nbytes:
                continue  # one that is too large is refused by who looks at the answer
            assert isinstance(target.region, CudaRegion)
            source = response.segment(descriptor) or job.memory.segment(segment_id)
            departure.left += 1
            self._devices.store(
                target.region, target.offset, nbytes, (source, offset), lambda text: self._arrived(departure, text)
            )

    def _arrived(self, departure: _Departure, failure: str | None) -> None:
        departure.left -= 1
        departure.failure = departure.failure or failure
        while self._queue and not self._queue[0].left:
            self._leave(self._queue.popleft())

    def _leave(self, departure: _Departure) -> None:
        job, response = departure.job, departure.response
        if departure.failure is not None:
            response.code = Code.INTERNAL
            response.text = f"an output could not be written to its device: {departure.failure}"
        if job.cancelled:
            response.release()
        else:
            self._sink.deliver(job, response)
        for segment in departure.pinned:
            segment.unpin()
