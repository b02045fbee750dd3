"""From the bytes of an inference request to a job in the engine: where its body is put, and what is checked.

Does not know sockets: the connection gives it memory to fill and bytes to read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.intake import ALIGNMENT
from jupyter_pyserve.engine.job import Job, Sink
from jupyter_pyserve.engine.versions.loaded import LoadedVersion, MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Head
from jupyter_pyserve.transports.http.plans import Plan, make_plan
from jupyter_pyserve.v2.compression import UnknownEncodingError
from jupyter_pyserve.v2.forwarding import Headers, with_headers
from jupyter_pyserve.v2.infer import InferRequest, parse_infer, raw_infer

#: Plans of larger headers are not remembered: they are unlikely to come again, and would fill the memory.
_MAX_KEY_NBYTES = 16 * 1024


@dataclass(slots=True)
class Landing:
    """Shared memory into which a body is received, so placed that its first tensor starts aligned."""

    job: Job
    servable: LoadedVersion
    segment: int
    offset: int
    view: memoryview
    header_nbytes: int


def check(head: Head, servable: LoadedVersion) -> None:
    """What is refused before the body is looked at."""
    if servable.signature.decoupled:
        raise PyServeError(Code.UNSUPPORTED, "HTTP end point doesn't support models with decoupled transaction policy")
    if head.content_encoding is None:
        raise UnknownEncodingError


def land(servable: LoadedVersion, nbytes: int, header_nbytes: int, sink: Sink) -> Landing:
    """Reserve memory for a body of `nbytes` whose JSON part is `header_nbytes` long."""
    pad = -header_nbytes % ALIGNMENT
    job, segment, offset = servable.new_job(nbytes + pad, sink)
    start = offset + pad
    return Landing(job, servable, segment, start, servable.arena.view(segment, start, nbytes), header_nbytes)


def try_to_land(servable: LoadedVersion, nbytes: int, header_nbytes: int, sink: Sink) -> Landing | None:
    """`land`, or None when there is no room now or others wait for it; raises `MemoryFull` when there never will be."""
    if servable.crowded:
        return None
    try:
        return land(servable, nbytes, header_nbytes, sink)
    except MemoryFull as full:
        if full.for_good:
            raise
        return None


def land_later(
    servable: LoadedVersion,
    nbytes: int,
    header_nbytes: int,
    sink: Sink,
    wanted: Callable[[], bool],
    on_end: Callable[[Landing | PyServeError], None],
) -> None:
    """Call `on_end` with a landing as soon as there is room, or with the reason when there was none for too long."""
    intake.when_there_is_room(servable, nbytes, lambda: land(servable, nbytes, header_nbytes, sink), wanted, on_end)


def submit(landing: Landing, max_json_nbytes: int, forwarded: Headers = ()) -> bytes:
    """Make the body that has landed a request, with these headers, and queue it; its JSON part.

    On `PyServeError` the job is still the caller's.
    """
    job, servable, view = landing.job, landing.servable, landing.view
    header = bytes(view[: landing.header_nbytes])
    key = (header, view.nbytes, forwarded)
    plan: Plan | None = servable.plans.get(key)
    if plan is None:
        if landing.header_nbytes:
            request = parse_infer(
                header,
                body_nbytes=view.nbytes,
                header_nbytes=landing.header_nbytes,
                model_name=servable.name,
                max_json_bytes=max_json_nbytes,
            )
        else:
            request = raw_infer(servable.signature, view.nbytes, max_raw_bytes=max_json_nbytes)
        plan = _plan(with_headers(request, forwarded), servable, key)
    if plan.strings:
        intake.check_strings(plan, servable, view)
    if plan.in_body:
        segment, offset = landing.segment, landing.offset
        job.descriptors = [(segment, offset + item.offset, item.nbytes, 0) for item in plan.request.inputs]
    else:
        landing.job = intake.gathered(plan, servable, view, job.sink)
        job.finish()
        job = landing.job
    intake.enter(job, plan, servable)
    return header


def submit_json(servable: LoadedVersion, body: bytes, max_json_nbytes: int, sink: Sink, forwarded: Headers = ()) -> Job:
    """Queue a request that is all JSON, with these headers."""
    request = parse_infer(
        body, body_nbytes=len(body), header_nbytes=None, model_name=servable.name, max_json_bytes=max_json_nbytes
    )
    plan = _plan(with_headers(request, forwarded), servable, None)
    job = intake.gathered(plan, servable, memoryview(b""), sink)
    try:
        intake.enter(job, plan, servable)
    except BaseException:
        job.finish()
        raise
    return job


def _plan(request: InferRequest, servable: LoadedVersion, key: Any) -> Plan:
    plan = make_plan(request, servable)
    if key is not None and plan.cacheable and len(key[0]) <= _MAX_KEY_NBYTES:
        intake.remember(servable, key, plan)
    return plan
