"""One request on its way through an ensemble: requests to the members, and one answer of theirs, or several.

The order of steps is `model.ensembles`'; tensors are passed on where they are.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import CODES, NAMES
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.ensembles.values import Debt, Lender, Source, Value, holder_of
from jupyter_pyserve.engine.job import Job, Response, Tally
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.tracing.watch import watched
from jupyter_pyserve.engine.versions.loaded import LoadedVersion, deliver
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.ensembles import Flow, Run, Step
from jupyter_pyserve.model.ensembles import Progress as FlowProgress
from jupyter_pyserve.model.reshaping import handed_over
from jupyter_pyserve.model.statistics import FailureReason
from jupyter_pyserve.v2 import jsonout
from jupyter_pyserve.v2.infer import InferRequest, InputRef, OutputRef
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan, seen_shape, with_window

if TYPE_CHECKING:
    from jupyter_pyserve.engine.ensembles.ensemble import EnsembleVersion

#: Name, datatype, shape and bytes of what a member is given.
_Tensor = tuple[str, int, tuple[int, ...], int]

_new_lease = itertools.count(1).__next__


class Execution:
    """One request on its way through the members; the memory and the sink of their jobs."""

    def __init__(self, owner: EnsembleVersion, job: Job) -> None:
        self._owner = owner
        self._job = job
        request: InferRequest = job.plan.request
        self._request = request
        self._facts = _facts(request)
        self._batch = _batch_of(job, owner)
        outputs = tuple(item.name for item in request.outputs) or tuple(owner.signature.outputs)
        self._members = list(owner.members)
        #: They, and theirs, stay for as long as this goes on, also when others have taken their place meanwhile.
        self._kept = list(_with_members(self._members)) if owner.nested else self._members
        for member in self._kept:
            member.outstanding += 1
        streaming = owner.streaming
        #: Tensors that several read: by name, or all of them when iterations see the same ones.
        self._shared = None if streaming else owner.graph.course(outputs).shared
        self._flow: Flow[Value] = Flow(owner.graph, self._given(job), outputs, streaming)
        self._jobs: dict[int, tuple[Job, Run[Value]]] = {}
        self._held: dict[int, list[Value]] = {}
        self._limits = owner.limits
        self._debts: dict[int, Debt] = {}
        self._views: dict[int, Segment] = {}
        self._tally = Tally()
        self._watch = watched(job)
        self._over = False

    def _given(self, job: Job) -> dict[str, Value]:
        job.refs += 1
        source = Source(job.unref)
        segments = self._owner.arena.segments
        if job.foreign:
            segments = {**segments, **{item.id: item for item in job.foreign}}
        return {
            item.name: Value(
                CODES[item.datatype],
                seen_shape(item, self._owner.signature),
                place[:3],
                segments.get(place[0]),
                source,
                self._is_shared(item.name) or bool(place[3]),
                self._batch,
            )
            for item, place in zip(self._request.inputs, job.descriptors)
        }

    @property
    def parts(self) -> Sequence[Job]:
        """The jobs that members have."""
        return [job for job, _ in self._jobs.values()]

    def _is_shared(self, tensor: str) -> bool:
        return self._shared is None or tensor in self._shared

    def start(self) -> None:
        """Begin; an error becomes the answer."""
        self._go_on(self._flow.start())

    def _go_on(self, progress: FlowProgress[Value]) -> None:
        try:
            for run in progress.runs:
                if self._over:
                    continue
                if self._limits:
                    self._limits[run.step.index].enter(functools.partial(self._in_turn, run))
                else:
                    self._run(run)
        except PyServeError as error:
            self.fail(error.code, f"in ensemble '{self._owner.name}', {error.message}")
            return
        last = len(progress.answers) - 1
        for index, answer in enumerate(progress.answers):
            if not self._over:
                self._answer(answer, final=progress.done and index == last)
        if progress.done and not self._over:
            self._finish_without_answer()

    def _finish_without_answer(self) -> None:
        if self._owner.signature.decoupled:
            self._close(Response(self._job, final=True, bare=True))
            return
        text = "unexpected deadlock, at least one output is not set while no more ensemble steps can be made"
        self.fail(Code.INVALID_ARG, f"in ensemble '{self._owner.name}', {text}")

    # -- no more than so many at a time -------------------------------------------------------------------------------

    def _in_turn(self, run: Run[Value]) -> bool:
        """A step's turn has come; whether it is begun."""
        if self._over:
            return False
        try:
            self._run(run)
        except PyServeError as error:
            self.fail(error.code, f"in ensemble '{self._owner.name}', {error.message}")
            return False
        return True

    def _owe(self, job: Job, runs: Sequence[Run[Value]]) -> None:
        """A member may answer once more when what it has set going is over."""
        debt = Debt(job, len(runs))
        self._debts.update((id(run), debt) for run in runs)
        debt.pay(0)

    def _ended(self, run: Run[Value]) -> None:
        debt = self._debts.pop(id(run), None)
        if debt is not None:
            debt.pay(1)
        self._limits[run.step.index].leave()

    # -- to the members -----------------------------------------------------------------------------------------------

    def _run(self, run: Run[Value]) -> None:
        member = self._members[run.step.index]
        batched = member.signature.max_batch_size > 0
        tensors: list[_Tensor] = []
        descriptors: list[PlainDescriptor] = []
        foreign: list[Segment] = []
        for name, value in run.inputs.items():
            shape = value.shape if batched == (value.batch > 0) else _handed(value, member, name)
            where, offset, nbytes = value.place
            tensors.append((name, value.code, shape, nbytes))
            descriptors.append((where, offset, nbytes, frames.SHARED if value.shared else 0))
            if value.segment is not None:
                foreign.append(value.segment)
                self._views[value.segment.id] = value.segment
        plan = self._plan(member, run.step, tuple(tensors))
        block_id = _new_lease()
        watch = self._watch.below(self) if self._watch is not None else None
        job = member.foreign_job(self, block_id, watch or self)
        job.plan = plan
        job.tally = self._tally
        job.descriptors = descriptors
        job.foreign = foreign
        self._held[block_id] = list(run.inputs.values())
        self._jobs[job.key] = (job, run)
        run.inputs = {}
        try:
            if watch is not None:
                watch.begin(job, member)
            if self._limits and run.streaming:
                job.facts = with_window(job.plan.meta, self._limits[run.step.index].limit)
            member.submit(job)
        except PyServeError:
            self._jobs.pop(job.key, None)
            job.finish()
            raise

    def _plan(self, member: LoadedVersion, step: Step, tensors: tuple[_Tensor, ...]) -> RequestPlan:
        key = (self._owner, step.index, self._facts, tensors)
        plan: RequestPlan | None = member.plans.get(key)
        if plan is None:
            asked = self._request
            request = InferRequest(
                id=asked.id,
                parameters=asked.parameters,
                priority=asked.priority,
                timeout_us=asked.timeout_us,
                correlation_id=asked.correlation_id,
                flags=asked.flags,
                inputs=tuple(
                    InputRef(name=name, datatype=NAMES[code], shape=shape, offset=0, nbytes=nbytes)
                    for name, code, shape, nbytes in tensors
                ),
                outputs=tuple(OutputRef(name=name, binary=True) for name in step.outputs),
                binary_data_output=True,
            )
            plan = make_request_plan(request, member.signature)
            intake.remember(member, key, plan)
        return plan

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range of a member's inputs."""
        return self._views[segment].read(offset, nbytes) if nbytes else memoryview(b"")

    def segment(self, segment_id: int) -> Segment:
        """A segment that members' inputs lie in."""
        return self._views[segment_id]

    def free(self, block_id: int) -> None:
        """A member's stub does not read its inputs any more."""
        self._held.pop(block_id, None)

    # -- from the members ---------------------------------------------------------------------------------------------

    def deliver(self, job: Job, response: Response) -> None:
        """A member's answer, or one of several."""
        found = self._jobs.get(job.key)
        if found is None or self._over:
            response.release()
            return
        run = found[1]
        if response.final:
            del self._jobs[job.key]
            if self._limits:
                self._ended(run)
        if response.code is not None:
            code, text = response.code, response.text
            response.release()
            self.fail(code, f"in ensemble '{self._owner.name}', {text}")
            return
        try:
            values = self._values(job, run, response)
        except WireError as error:
            response.release()
            self.fail(Code.INTERNAL, f"in ensemble '{self._owner.name}', {error}")
            return
        progress = self._flow.answer(run, values, final=response.final)
        if self._limits and run.streaming and not response.final:
            self._owe(job, progress.runs)
        self._go_on(progress)

    def _values(self, job: Job, run: Run[Value], response: Response) -> dict[str, Value] | None:
        if response.bare:
            response.release()
            return None
        batch = _batch_of(job, self._members[run.step.index])
        inputs = self._held.get(job.block_id, ())
        places = response.places()
        segments = [response.segment(item) for item in places]
        source = Source(response.hand_over(), segments)
        values = {}
        for (name, code, shape), segment, descriptor in zip(response.tensors, segments, places):
            shared = self._is_shared(run.step.outputs.get(name, ""))
            place = descriptor[:3]
            holder = holder_of(inputs, descriptor) if segment is None else None
            if holder is None:
                values[name] = Value(code, shape, place, segment, source, shared, batch)
            else:
                shared = shared or holder.shared
                values[name] = Value(code, shape, place, holder.segment, holder.source, shared, batch)
        return values

    # -- to the client ------------------------------------------------------------------------------------------------

    def _answer(self, answer: Mapping[str, Value], *, final: bool) -> None:
        metas: list[TensorMeta] = []
        places: list[PlainDescriptor] = []
        nbytes = 0
        for name, value in answer.items():
            metas.append(TensorMeta(name, value.code, self._shown(name, value)))
            places.append((*value.place, 1))
            nbytes += value.place[2]
        tensors = tuple(metas)
        response = Response(
            self._job,
            None,
            "",
            _layout(tensors),
            tensors,
            places,
            _parameters(self._request.correlation_id, self._request.flags) if nbytes else b"",
            Lender(list(answer.values())),
            final=final,
        )
        if self._owner.shapes is not None:
            response = self._owner.shapes.apply(response)
        if final:
            self._close(response)
        else:
            deliver(self._job, response)

    def _shown(self, name: str, value: Value) -> tuple[int, ...]:
        spec = self._owner.signature.outputs[name]
        return handed_over(value.shape, value.batch, spec.reshape or spec.dims, batched=self._batch > 0)

    def _close(self, response: Response) -> None:
        """The last answer."""
        job, statistics = self._job, self._owner.statistics
        durations = self._tally.input_ns, self._tally.infer_ns, self._tally.output_ns
        if job.tally is not None:
            job.tally.add(*durations)
        self.end()
        size, now_ns = job.batch_size, time.monotonic_ns()
        deliver(job, response)
        queue_ns = job.dispatched_ns - job.enqueue_ns
        wall_ms = int(time.time() * 1000)
        statistics.record_success(size, now_ns - job.enqueue_ns, queue_ns, *durations, wall_ms)
        statistics.record_execution(size, *durations, wall_ms)

    def fail(self, code: Code, text: str) -> None:
        """The whole request fails."""
        if self._over:
            return
        self.end()
        for _ in range(2):  # as Triton: the request, and what it was made of
            self._owner.count_failure(self._job, FailureReason.OTHER)
        deliver(self._job, Response(self._job, code=code, text=text))

    def end(self) -> None:
        """Nothing more is wanted of the members."""
        self._over = True
        self._owner.ended(self._job)
        begun = list(self._jobs.values())
        for job, _ in begun:
            job.owner.cancel(job)
        self._jobs.clear()
        self._flow.close()
        for member in self._kept:
            member.job_ended()
        for _, run in begun if self._limits else ():
            self._limits[run.step.index].leave()


def _batch_of(job: Job, carrier: LoadedVersion) -> int:
    return job.batch_size if carrier.signature.max_batch_size > 0 else 0


def _handed(value: Value, member: LoadedVersion, name: str) -> tuple[int, ...]:
    """The shape in which a member gets a tensor."""
    dims, batched = member.signature.inputs[name].dims, member.signature.max_batch_size > 0
    return handed_over(value.shape, value.batch, dims, batched=batched)


def _facts(request: InferRequest) -> Hashable:
    """What a member is told of a request beside its tensors."""
    parameters = jsonout.dumps(request.parameters) if request.parameters else b""
    return request.id, request.priority, request.timeout_us, request.correlation_id, request.flags, parameters


_layout = functools.lru_cache(maxsize=256)(encode_layout)


@functools.lru_cache(maxsize=256)
def _parameters(correlation_id: int | str, flags: int) -> bytes:
    return jsonout.dumps(
        {"sequence_id": correlation_id, "sequence_start": bool(flags & 1), "sequence_end": bool(flags & 2)}
    )


def _with_members(versions: Iterable[LoadedVersion]) -> Iterator[LoadedVersion]:
    for version in versions:
        yield version
        yield from _with_members(version.members)
