"""From the bytes of an inference request to a job in the engine: where its body is put, and what is checked.

Does not know sockets: the connection gives it memory to fill and bytes to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.job import Job, Sink
from jupyter_pyserve.engine.servable import MemoryFull, Servable
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Head
from jupyter_pyserve.transports.http.plans import Plan, make_plan
from jupyter_pyserve.v2.infer import InferRequest, check_bytes, element_count, parse_infer, raw_infer

_ALIGNMENT = 64
_MAX_PLANS = 1024
#: Plans of larger headers are not remembered: they are unlikely to come again, and would fill the memory.
_MAX_KEY_NBYTES = 16 * 1024

#: How long a request waits for room in its model's memory.
_MEMORY_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Landing:
    """Shared memory into which a body is received, so placed that its first tensor starts aligned."""

    job: Job
    servable: Servable
    segment: int
    offset: int
    view: memoryview
    header_nbytes: int


def check(head: Head, servable: Servable) -> None:
    """What is refused before the body is looked at."""
    if servable.signature.decoupled:
        raise PyServeError(Code.UNSUPPORTED, "HTTP end point doesn't support models with decoupled transaction policy")
    if head.content_encoding != b"identity":
        raise PyServeError(Code.UNSUPPORTED, "Unsupported compression type")


def land(servable: Servable, nbytes: int, header_nbytes: int, sink: Sink) -> Landing:
    """Reserve memory for a body of `nbytes` whose JSON part is `header_nbytes` long."""
    pad = -header_nbytes % _ALIGNMENT
    job, segment, offset = servable.new_job(nbytes + pad, sink)
    start = offset + pad
    return Landing(job, servable, segment, start, servable.arena.view(segment, start, nbytes), header_nbytes)


def try_to_land(
    servable: Servable, nbytes: int, header_nbytes: int, sink: Sink, *, waited: bool = False
) -> Landing | None:
    """`land`, or None when there is no room now or others wait for it; raises `MemoryFull` when there never will be."""
    if servable.crowded and not waited:
        return None
    try:
        return land(servable, nbytes, header_nbytes, sink)
    except MemoryFull as full:
        if full.for_good:
            raise
        return None


def land_later(
    servable: Servable,
    nbytes: int,
    header_nbytes: int,
    sink: Sink,
    wanted: Callable[[], bool],
    on_end: Callable[[Landing | PyServeError], None],
) -> None:
    """Call `on_end` with a landing as soon as there is room, or with the reason when there was none for too long.

    Not at all if it is not `wanted` any more by then.
    """

    given_up = False

    def retry() -> bool:
        if given_up or not wanted():  # what is wanted by now may be the next request
            return True
        landing = try_to_land(servable, nbytes, header_nbytes, sink, waited=True)
        if landing is None:
            return False
        timer.cancel()
        on_end(landing)
        return True

    def give_up() -> None:
        nonlocal given_up
        given_up = True
        if wanted():
            on_end(servable.memory_full(nbytes))

    timer = asyncio.get_running_loop().call_later(_MEMORY_TIMEOUT_S, give_up)
    servable.wait_for_memory(retry)


def submit(landing: Landing, max_json_nbytes: int) -> None:
    """Make the body that has landed a request and queue it; on `PyServeError` the job is still the caller's."""
    job, servable, view = landing.job, landing.servable, landing.view
    key = (bytes(view[: landing.header_nbytes]), view.nbytes)
    plan: Plan | None = servable.plans.get(key)
    if plan is None:
        if landing.header_nbytes:
            request = parse_infer(
                key[0],
                body_nbytes=view.nbytes,
                header_nbytes=landing.header_nbytes,
                model_name=servable.name,
                max_json_bytes=max_json_nbytes,
            )
        else:
            request = raw_infer(servable.signature, view.nbytes, max_raw_bytes=max_json_nbytes)
        plan = _plan(request, servable, key)
    if plan.strings:
        _check_strings(plan, servable, view)
    if plan.in_body:
        segment, offset = landing.segment, landing.offset
        job.descriptors = [(segment, offset + item.offset, item.nbytes, 0) for item in plan.request.inputs]
    else:
        landing.job = _gathered(plan, servable, view, job.sink)
        job.finish()
        job = landing.job
    _enter(job, plan, servable)


def submit_json(servable: Servable, body: bytes, max_json_nbytes: int, sink: Sink) -> Job:
    """Queue a request that is all JSON."""
    request = parse_infer(
        body, body_nbytes=len(body), header_nbytes=None, model_name=servable.name, max_json_bytes=max_json_nbytes
    )
    plan = _plan(request, servable, None)
    job = _gathered(plan, servable, memoryview(b""), sink)
    try:
        _enter(job, plan, servable)
    except PyServeError:
        job.finish()
        raise
    return job


def _plan(request: InferRequest, servable: Servable, key: Any) -> Plan:
    if any(item.region for item in request.inputs) or any(item.region for item in request.outputs):
        raise PyServeError(
            Code.UNSUPPORTED,
            "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.",
        )
    if any(item.classification for item in request.outputs):
        raise PyServeError(Code.UNSUPPORTED, "the classification extension is not supported by this server")
    plan = make_plan(request, servable)
    if key is not None and plan.cacheable and len(key[0]) <= _MAX_KEY_NBYTES:
        if len(servable.plans) >= _MAX_PLANS:
            servable.plans.clear()
        servable.plans[key] = plan
    return plan


def _check_strings(plan: Plan, servable: Servable, view: memoryview) -> None:
    for index in plan.strings:
        item = plan.request.inputs[index]
        if not item.lead:
            check_bytes(
                view[item.offset : item.offset + item.nbytes],
                element_count(item, servable.signature),
                name=item.name,
                model_name=servable.name,
                request_id=plan.request.id,
            )


def _gathered(plan: Plan, servable: Servable, view: memoryview, sink: Sink) -> Job:
    """A job whose inputs are copied together from wherever they came."""
    inputs = plan.request.inputs
    sizes = [-(-item.nbytes // _ALIGNMENT) * _ALIGNMENT for item in inputs]
    job, segment, offset = servable.new_job(sum(sizes), sink)
    descriptors = []
    for item, size in zip(inputs, sizes):
        target = servable.arena.view(segment, offset, item.nbytes)
        if item.inline is not None:
            target[:] = item.inline
        else:
            lead = len(item.lead)
            target[:lead] = item.lead
            target[lead:] = view[item.offset : item.offset + item.nbytes - lead]
        descriptors.append((segment, offset, item.nbytes, 0))
        offset += size
    job.descriptors = descriptors
    return job


def _enter(job: Job, plan: Plan, servable: Servable) -> None:
    job.plan = plan
    servable.submit(job)
