"""What a process may ask over descriptors, be it a kernel on a lane or a stub whose model calls another model.

A peer sends requests whose inputs lie in shared memory and gets answers that lie where they were made, each under a
lease that it gives back. What it says of its memory is checked against the engine's own books, which subclasses keep.
"""

from __future__ import annotations

import abc
import asyncio
import itertools
import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.frames import PlainDescriptor, PlainRequest, PlainResponse
from pyserve_stub.wire.layout import LayoutCache, TensorMeta, WireError

from jupyter_pyserve.engine.job import Job, Memory, Response, Sink
from jupyter_pyserve.engine.tracing.watch import begin
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.telemetry.traces import Front
from jupyter_pyserve.v2.infer import InferRequest, InputRef, OutputRef, check_bytes, element_count
from jupyter_pyserve.v2.messages import repeated, request_prefix
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan

if TYPE_CHECKING:
    from jupyter_pyserve.engine.memory.arena import Segment
    from jupyter_pyserve.engine.service import Service
    from jupyter_pyserve.engine.versions.loaded import LoadedVersion

_MAX_PLANS = 1024


class Place(NamedTuple):
    """Where the inputs of a request lie: as its stub is told, and in whose memory, which is freed once."""

    memory: Memory
    block_id: int
    foreign: Sequence[Segment]
    descriptors: Sequence[PlainDescriptor]


class Lent:
    """An answer that a peer holds. It, and the calls that pass it on, keep its memory; the last one gives it back."""

    __slots__ = ("_give_back", "_ranges", "_refs")

    def __init__(self, give_back: Callable[[], None], ranges: Sequence[tuple[Segment, PlainDescriptor]]) -> None:
        self._give_back = give_back
        self._ranges = ranges
        self._refs = 1
        for segment, _ in ranges:
            segment.pin()

    def segment(self, descriptor: PlainDescriptor) -> Segment | None:
        """Where a range lies, if it lies in this answer."""
        segment, offset, nbytes, _ = descriptor
        for lent, (known, start, size, _) in self._ranges:
            if segment == known and start <= offset and offset + nbytes <= start + size:
                return lent
        return None

    def ref(self) -> None:
        """One more reads it."""
        self._refs += 1

    def unref(self) -> None:
        """One of those that read it is done."""
        self._refs -= 1
        if not self._refs:
            for segment, _ in self._ranges:
                segment.unpin()
            self._give_back()


class Peer(abc.ABC):
    """One process that asks; the sink of its jobs. Its frames come through `take`."""

    #: Whether answers that lie in a request's own inputs are leased like all others; else the peer keeps its inputs.
    leases_inputs = False

    def __init__(self, service: Service) -> None:
        self._service = service
        self._layouts = LayoutCache()
        self._plans: dict[tuple[bytes, bytes, tuple[int, ...]], tuple[RequestPlan, LoadedVersion, str]] = {}
        self._jobs: dict[int, Job] = {}
        self._keys: dict[int, int] = {}
        self._leases: dict[int, Lent] = {}
        self._next_lease = itertools.count(1).__next__
        self._idle: asyncio.Future[None] | None = None
        self._answering = 0
        self._freed = False
        self._ended = False

    # -- what subclasses know -----------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _place(self, key: int, descriptors: Sequence[PlainDescriptor]) -> Place:
        """Find the inputs of a request in the books; raises `WireError` for memory that the peer does not have."""

    @abc.abstractmethod
    def _show(self, segment: Segment) -> None:
        """Let the peer have a segment before it is told of an answer there."""

    @abc.abstractmethod
    def _send(self, data: bytes) -> None:
        """Send a frame."""

    @abc.abstractmethod
    def _decoupled_text(self, model: str) -> str:
        """What to say when one answer is expected of a decoupled model."""

    # -- what the peer says -------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take in an INFER, RETURN or CANCEL frame; raises for one that no honest peer sends."""
        kind = data[0]
        if kind == frames.INFER:
            batch, returned = frames.decode_execute(data)
            for request in batch:
                if not self._ended:  # it may end by not taking an answer
                    self._infer(request, data[1])
            self._take_back(returned)  # after the requests, whose inputs may lie in what is given back
        elif kind == frames.RETURN:
            self._take_back(frames.decode_keys(data))
        elif kind == frames.CANCEL:
            for key in frames.decode_keys(data):
                self._cancel(key)
        else:
            raise WireError(f"unknown frame {kind}")

    def _infer(self, request: PlainRequest, flags: int) -> None:
        key = request[0]
        began_ns = time.monotonic_ns()
        if key in self._jobs:
            raise WireError(f"two requests under the key {key}")
        place = self._place(key, request[3])
        memory, block_id, foreign, descriptors = place
        job: Job | None = None
        try:
            self._require_accepting()
            plan, target = self._plan(request)
            for index in plan.strings:
                item = plan.request.inputs[index]
                check_bytes(
                    memory.view(*descriptors[index][:3]),
                    element_count(item, target.signature),
                    name=item.name,
                    model_name=target.name,
                    request_id=plan.request.id,
                )
            traced = target.tracer is not None or flags & frames.TRACED
            sink = self._behind_watch(target, began_ns) if traced else self
            job = target.foreign_job(memory, block_id, sink)
            job.foreign = foreign
            job.plan = plan
            job.descriptors = descriptors
            if plan.request.timeout_us:  # microseconds that the caller has, not that are left after all this
                job.enqueue_ns = began_ns
            self._jobs[key] = job
            self._keys[job.key] = key
            if traced:
                begin(job, target)
            self._submit(job, target, flags)
        except PyServeError as error:
            self._answering, self._freed = key, False
            if job is None:
                memory.free(block_id)
            else:
                del self._keys[job.key]
                self._forget(key)
                job.finish()
            self._respond((key, error.code + 1, self._flags() | frames.REFUSED, b"", _encode(error.message), ()))
        except Exception:
            if job is None:
                memory.free(block_id)
            raise

    def _behind_watch(self, target: LoadedVersion, began_ns: int) -> Sink:
        """Itself as who gets an answer, behind a watch if the request is traced."""
        tracer = target.tracer
        return tracer.watch(self, Front.LANE, (began_ns, began_ns)) if tracer is not None else self

    def _require_accepting(self) -> None:
        if not self._service.accepting:
            raise PyServeError(Code.UNAVAILABLE, "Server is stopping and has stopped accepting new requests")

    def _lookup(self, name: str, version: str) -> LoadedVersion:
        return self._service.lookup(name, version)

    def _submit(self, job: Job, target: LoadedVersion, flags: int) -> None:
        target.submit(job)

    def _plan(self, request: PlainRequest) -> tuple[RequestPlan, LoadedVersion]:
        _, meta, layout, descriptors = request
        sizes = tuple([item[2] for item in descriptors])
        key = (meta, layout, sizes)
        known = self._plans.get(key)
        if known is not None:
            plan, target, version = known
            if self._service.registry.routes.get((target.name, version)) is target:
                return plan, target
        facts = json.loads(meta)
        if not isinstance(facts, dict):
            raise WireError("a request's facts are not an object")
        version = str(facts.get("version", ""))
        target = self._lookup(str(facts["model"]), version)
        if target.signature.decoupled and not facts.get("decoupled"):
            raise PyServeError(Code.UNSUPPORTED, self._decoupled_text(target.name))
        plan = make_request_plan(_request(facts, self._layouts.decode(layout), sizes), target.signature)
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan, target, version
        return plan, target

    def _cancel(self, key: int) -> None:
        """Nobody waits for the answer any more."""
        job = self._forget(key)
        if job is not None:
            del self._keys[job.key]
            job.owner.cancel(job)

    def _take_back(self, leases: Sequence[int]) -> None:
        for lease in leases:
            lent = self._leases.pop(lease, None)
            if lent is not None:
                lent.unref()

    def _forget(self, key: int) -> Job | None:
        job = self._jobs.pop(key, None)
        if not self._jobs and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        return job

    async def idle(self) -> None:
        """Wait until everything that was asked is answered."""
        if self._jobs:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    def end(self) -> None:
        """The peer is gone: what it asked is cancelled, what it held is free."""
        self._ended = True
        for job in list(self._jobs.values()):
            self._keys.pop(job.key, None)
            job.owner.cancel(job)
        self._jobs.clear()
        for lent in self._leases.values():
            lent.unref()
        self._leases.clear()

    # -- what it is told ----------------------------------------------------------------------------------------------

    def deliver(self, job: Job, response: Response) -> None:
        """Pass an answer on: the same descriptors, under a lease that the peer gives back."""
        key = self._keys.get(job.key)
        if key is None:
            response.release()
            return
        final = response.final
        if final:
            del self._keys[job.key]
            self._forget(key)
            self._answering, self._freed = key, False
        answer: PlainResponse
        if response.code is not None:
            code, text = response.code + 1, _encode(response.text)
            response.release()
            answer = (key, code, self._flags(final), b"", text, ())
        else:
            answer = self._success(key, job, response)
        self._respond(answer)

    def _success(self, key: int, job: Job, response: Response) -> PlainResponse:
        final, bare = response.final, response.bare
        lease = 0
        descriptors: list[PlainDescriptor] = []
        ranges: list[tuple[Segment, PlainDescriptor]] = []
        keeps_inputs = False
        try:
            for descriptor in response.places():
                segment = response.segment(descriptor)
                if segment is not None and descriptor[3]:
                    self._show(segment)
                elif segment is None and descriptor[2] and self.leases_inputs:
                    segment = job.memory.segment(descriptor[0])
                    keeps_inputs = True
                else:
                    descriptors.append((*descriptor[:3], 0))
                    continue
                lease = lease or self._next_lease()
                ranges.append((segment, descriptor))
                descriptors.append((descriptor[0], descriptor[1], descriptor[2], lease))
        except WireError as error:
            response.release()
            return (key, Code.INTERNAL + 1, self._flags(final), b"", str(error).encode(), ())
        if keeps_inputs:
            job.refs += 1
        give_back = response.hand_over()
        if lease:
            self._leases[lease] = Lent(_both(give_back, job.unref) if keeps_inputs else give_back, ranges)
        else:
            give_back()
        flags = self._flags(final) | (frames.BARE if bare else 0)
        return (key, 0, flags, response.layout, response.parameters, descriptors)

    def _respond(self, response: PlainResponse) -> None:
        self._answering = 0
        self._send(frames.encode_responses((response,)))

    def inputs_free(self, key: int) -> None:
        """Nothing reads a request's inputs any more: said with its answer if that is being made, else by itself."""
        if key == self._answering:
            self._freed = True
        else:
            self._send(frames.encode_keys(frames.RELEASE, (key,)))

    def _flags(self, final: bool = True) -> int:
        if not final:
            return 0
        return frames.FINAL | frames.INPUTS_RELEASED if self._freed else frames.FINAL


def _both(first: Callable[[], None], second: Callable[[], None]) -> Callable[[], None]:
    def call() -> None:
        first()
        second()

    return call


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _request(facts: dict[str, Any], tensors: Sequence[TensorMeta], sizes: Sequence[int]) -> InferRequest:
    if len(tensors) != len(sizes):
        raise WireError("a request has more or fewer tensors than descriptors")
    request_id = str(facts.get("id", ""))
    _refuse_twins(request_id, [item.name for item in tensors])
    parameters = facts.get("parameters", {})
    correlation_id = facts.get("correlation_id", 0)
    if not isinstance(correlation_id, int | str):
        raise WireError("a correlation id is neither a number nor a text")
    if not isinstance(parameters, dict):
        parameters = {}
    if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in parameters.values()):
        raise PyServeError(Code.INVALID_ARG, "Unsupported value type on parameters")
    return InferRequest(
        id=request_id,
        inputs=tuple(
            InputRef(name=item.name, datatype=NAMES[item.code], shape=item.shape, offset=0, nbytes=nbytes)
            for item, nbytes in zip(tensors, sizes)
        ),
        outputs=tuple(OutputRef(name=str(name), binary=True) for name in facts.get("outputs", ())),
        parameters=parameters,
        priority=int(facts.get("priority", 0)),
        timeout_us=int(facts.get("timeout_us", 0)),
        correlation_id=correlation_id,
        flags=int(facts.get("flags", 0)),
        binary_data_output=True,
    )


def _refuse_twins(request_id: str, names: list[str]) -> None:
    for name in repeated(names):
        raise PyServeError(Code.INVALID_ARG, f"{request_prefix(request_id)}input '{name}' already exists in request")
