"""From a parsed request to a queued job, for front ends that receive bytes: plans kept, inputs placed, room waited for.

Does not know how requests travel: a body is memory, and a key is whatever a front end recognises an equal request by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.devices.crossing import Crossing, Fetch
from jupyter_pyserve.engine.job import Job, Memory, Response, Sink
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion, Region, Target
from jupyter_pyserve.engine.tracing.watch import begin
from jupyter_pyserve.engine.versions.loaded import LoadedVersion, MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.classification import Classification
from jupyter_pyserve.v2.infer import InputRef, check_bytes, element_count
from jupyter_pyserve.v2.plan import RequestPlan

_log = logging.getLogger(__name__)

T = TypeVar("T")

ALIGNMENT = 64
_MAX_PLANS = 1024

#: How long a request waits for room in its model's memory.
_MEMORY_TIMEOUT_S = 10.0


def remember(servable: LoadedVersion, key: Any, plan: RequestPlan) -> None:
    """Keep a plan for the next equal request."""
    if len(servable.plans) >= _MAX_PLANS:
        servable.plans.clear()
    servable.plans[key] = plan


def check_strings(plan: RequestPlan, servable: LoadedVersion, body: memoryview) -> None:
    """Look at the BYTES tensors that lie in the body."""
    for index in plan.strings:
        item = plan.request.inputs[index]
        if not item.lead and item.region is None:
            _check_strings(plan, servable, item, body[item.offset : item.offset + item.nbytes])


def _check_strings(plan: RequestPlan, servable: LoadedVersion, item: InputRef, data: memoryview) -> None:
    check_bytes(
        data,
        element_count(item, servable.signature),
        name=item.name,
        model_name=servable.name,
        request_id=plan.request.id,
    )


def gathered(plan: RequestPlan, servable: LoadedVersion, body: memoryview, sink: Sink) -> Job:
    """A job whose inputs are copied together from wherever they came, but for those in a client's own regions."""
    inputs = plan.request.inputs
    if len(inputs) == 1 and _in_body(inputs[0]) and all(item.region is None for item in plan.request.outputs):
        nbytes, start = inputs[0].nbytes, inputs[0].offset
        job, segment, offset = servable.new_job(nbytes, sink)
        servable.arena.view(segment, offset, nbytes)[:] = body[start : start + nbytes]
        job.descriptors = ((segment, offset, nbytes, 0),)
        return job
    own = _Own(plan, servable)
    sizes = [
        0 if item.region is not None and item.name in own.places else -(-item.nbytes // ALIGNMENT) * ALIGNMENT
        for item in inputs
    ]
    job, segment, offset = servable.new_job(sum(sizes), sink)
    descriptors = []
    for item, size in zip(inputs, sizes):
        if item.region is not None:
            place = own.places.get(item.name)
            if place is None:
                own.fetch(item, servable.arena.segment(segment), offset)
                place = (segment, offset, item.nbytes, 0)
                offset += size
            descriptors.append(place)
            continue
        target = servable.arena.view(segment, offset, item.nbytes)
        if item.inline is not None:
            target[:] = item.inline
        else:
            lead = len(item.lead)
            target[:lead] = item.lead
            target[lead:] = body[item.offset : item.offset + item.nbytes - lead]
        descriptors.append((segment, offset, item.nbytes, 0))
        offset += size
    job.descriptors = descriptors
    own.hold(job)
    return job


def _in_body(item: InputRef) -> bool:
    return item.inline is None and item.region is None and not item.lead


#: An answer's tensors as the client gets them: their layout, as bytes and read, and their bytes.
Settled: TypeAlias = tuple[bytes, Sequence[TensorMeta], list[memoryview]]


def settle(response: Response, classification: Classification | None) -> Settled:
    """An answer's tensors; empty those that were put into a region of the client's, which is done here.

    Raises `PyServeError` when one does not fit, and `WireError` like `Response.views`.
    """
    views = response.views()
    targets = response.targets
    for index, meta in enumerate(response.tensors) if targets else ():
        target = targets.get(meta.name)
        if target is not None:
            target.take(views[index])
            views[index] = memoryview(b"")
    if classification is None:
        return response.layout, response.tensors, views
    tensors, views = classification.apply(response.tensors, views)
    return encode_layout(tensors), tensors, views


class _Own:
    """The client's own memory in a request, looked up before anything is reserved; kept until its inputs are read."""

    def __init__(self, plan: RequestPlan, servable: LoadedVersion) -> None:
        #: Inputs that models read where they are. Others have to be fetched from their devices.
        self.places: dict[str, tuple[int, int, int, int]] = {}
        self._regions: dict[int, Region] = {}
        self._shown: dict[int, Region] = {}
        self._fetched: dict[str, tuple[CudaRegion, int]] = {}
        self._fetches: list[Fetch] = []
        self._devices = servable.regions.devices
        for item in plan.request.inputs:
            if item.region is not None:
                region, offset = servable.regions.locate(item.region)
                self._regions[region.id] = region
                if isinstance(region, CudaRegion) and not _stays(item, servable):
                    self._fetched[item.name] = region, offset
                    continue
                self._shown[region.id] = region
                self.places[item.name] = (region.id, offset, item.nbytes, 0)
                if item.datatype == "BYTES":
                    _check_strings(plan, servable, item, region.read(offset, item.nbytes))
        self._targets: dict[str, Target] = {}
        for output in plan.request.outputs:
            if output.region is not None:
                region, offset = servable.regions.locate(output.region)
                self._targets[output.name] = Target(output.name, region, offset, output.region.nbytes)
                self._regions[region.id] = region

    def fetch(self, item: InputRef, segment: Segment, offset: int) -> None:
        """Where an input is to be fetched to."""
        region, at = self._fetched[item.name]
        if item.nbytes:
            self._fetches.append(Fetch(region, at, item.nbytes, (segment, offset)))

    def hold(self, job: Job) -> None:
        if not self._regions:
            return
        job.foreign = tuple(self._shown.values())
        job.targets = self._targets
        outputs = {name: item for name, item in self._targets.items() if isinstance(item.region, CudaRegion)}
        if self._fetched or outputs:
            crossing = Crossing(self._devices, self._fetches, outputs)
            crossing.stand_before(job)
            job.memory = _Crossed(job.memory, self._regions, crossing)
        else:
            job.memory = _Pinned(job.memory, self._regions)


def _stays(item: InputRef, servable: LoadedVersion) -> bool:
    """Whether a model takes an input where it is, on a device; traces want to see what requests hold."""
    return servable.takes_device_inputs and item.datatype != "BYTES" and servable.tracer is None


class _Pinned:
    """A job's memory and the regions that some of its tensors lie in; all are let go at once."""

    def __init__(self, memory: Memory, regions: Mapping[int, Region]) -> None:
        self._memory = memory
        self._regions = regions
        for region in regions.values():
            region.pin()

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        region = self._regions.get(segment)
        return region.read(offset, nbytes) if region is not None else self._memory.view(segment, offset, nbytes)

    def segment(self, segment_id: int) -> Segment:
        return self._regions.get(segment_id) or self._memory.segment(segment_id)

    def free(self, block_id: int) -> None:
        self._memory.free(block_id)
        for region in self._regions.values():
            region.unpin()


class _Crossed(_Pinned):
    """The same where some of it has to be fetched first, or some of the answer to be taken away."""

    def __init__(self, memory: Memory, regions: Mapping[int, Region], crossing: Crossing) -> None:
        super().__init__(memory, regions)
        self.crossing = crossing


def enter(job: Job, plan: RequestPlan, servable: LoadedVersion) -> None:
    """Queue a job, as soon as its inputs are there; on `PyServeError` it is still the caller's."""
    job.plan = plan
    if type(job.memory) is _Crossed:
        job.memory.crossing.begin(job, lambda: _queue(job, plan, servable))
        return
    if servable.tracer is not None:
        begin(job, servable)
    servable.submit(job)


def _queue(job: Job, plan: RequestPlan, servable: LoadedVersion) -> None:
    """Queue a job whose inputs have just arrived."""
    for index in plan.strings:
        item = plan.request.inputs[index]
        if item.region is not None and job.descriptors[index][2]:
            _check_strings(plan, servable, item, job.memory.view(*job.descriptors[index][:3]))
    if servable.tracer is not None:
        begin(job, servable)
    servable.submit(job)


def if_there_is_room(servable: LoadedVersion, place: Callable[[], T], *, waited: bool = False) -> T | None:
    """What `place` makes, or None when there is no room now or others wait for it.

    Raises `MemoryFull` when there never will be.
    """
    if servable.crowded and not waited:
        return None
    try:
        return place()
    except MemoryFull as full:
        if full.for_good:
            raise
        return None


def when_there_is_room(
    servable: LoadedVersion,
    nbytes: int,
    place: Callable[[], T],
    wanted: Callable[[], bool],
    on_end: Callable[[T | PyServeError], None],
) -> None:
    """Call `on_end` with what `place` makes as soon as there is room, or with the reason when there was none too long.

    Not at all if it is not `wanted` any more by then.
    """

    given_up = False

    def retry() -> bool:
        if given_up or not wanted():  # what is wanted by now may be the next request
            return True
        try:
            found: T | PyServeError | None = if_there_is_room(servable, place, waited=True)
        except PyServeError as error:  # what it refers to is gone; whoever waits behind it has room all the same
            found = error
        except Exception:  # noqa: BLE001 - nor would it ever be answered
            _log.exception("a request that waited for memory failed")
            found = PyServeError(Code.INTERNAL, "internal error")
        if found is None:
            return False
        timer.cancel()
        on_end(found)
        return True

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        if wanted():
            on_end(servable.memory_full(nbytes))

    timer = asyncio.get_running_loop().call_later(_MEMORY_TIMEOUT_S, give_up)
    servable.wait_for_memory(retry)
