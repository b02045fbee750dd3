"""From an inference message to a job in the engine: plans by the bytes that clients repeat, tensors into shared memory.

Does not know calls: who waits for the answer is a sink.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.job import Job, Sink
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.telemetry.traces import Front
from jupyter_pyserve.transports.grpc.heads import CallHead
from jupyter_pyserve.transports.grpc.methods import check_version
from jupyter_pyserve.v2.forwarding import Headers, with_headers
from jupyter_pyserve.v2.plan import RequestPlan, encode_facts, make_request_plan
from jupyter_pyserve.v2.protobuf import Split, decode, read_infer, split
from jupyter_pyserve.v2.protobuf_answers import Answers, request_id_field

#: Heads that are larger are not remembered: they are unlikely to come again, and would fill the memory.
_MAX_KEY_NBYTES = 16 * 1024
_MAX_NAMES = 4096
#: An id that JSON writes as nothing else.
_MARK = "\0"


@dataclass(slots=True, kw_only=True)
class Plan(RequestPlan):
    """A request that came over gRPC, without its id; `named` are the stub's facts around one."""

    model_name: str
    #: The version as the client gave it.
    version: str
    named: tuple[bytes, bytes]
    empty_final: bool
    answers: Answers

    def with_id(self, request_id: str) -> RequestPlan:
        """The same for a request that has an id."""
        start, end = self.named
        return RequestPlan(
            request=dataclasses.replace(self.request, id=request_id),
            meta=start + json.dumps(request_id).encode() + end,
            layout=self.layout,
            batch_size=self.batch_size,
            shape_key=self.shape_key,
            strings=self.strings,
            classification=self.classification,
        )


@dataclass(slots=True)
class Ask:
    """A request that is ready to be placed."""

    servable: LoadedVersion
    plan: Plan
    own: RequestPlan
    body: memoryview
    #: As a field of the answer.
    id: bytes

    @property
    def nbytes(self) -> int:
        """What its tensors take."""
        return sum(item.nbytes for item in self.own.request.inputs)

    def place(self, sink: Sink) -> Job:
        """Its tensors in shared memory; raises `MemoryFull`."""
        return intake.gathered(self.own, self.servable, self.body, sink)

    def enter(self, job: Job) -> None:
        """Queue it; on `PyServeError` it is still the caller's."""
        intake.enter(job, self.own, self.servable)

    def behind_watch(self, sink: Sink, told: CallHead, began_ns: int, now_ns: int) -> Sink:
        """Who gets the answers, behind a watch if the request is traced."""
        tracer = self.servable.tracer
        if tracer is None:
            return sink
        return tracer.watch(sink, Front.GRPC, (began_ns or now_ns, now_ns), _trace_context(told))


class Requests:
    """Reads the inference requests of a server."""

    __slots__ = ("_beginnings", "_lookup", "_names", "_start", "traces")

    def __init__(self, service: Service) -> None:
        self._lookup: Callable[[str, str], LoadedVersion] = service.lookup
        self.traces = service.traces
        self._names: dict[bytes, tuple[str, str]] = {}
        # What the bytes before the only tensor come to, where there is no id between them.
        self._beginnings: dict[tuple[bytes, int], Split] = {}
        self._start = 0

    def read(self, message: bytes | memoryview, check: Callable[[LoadedVersion], None], forwarded: Headers = ()) -> Ask:
        """What a message asks for, with these headers; `check` is made as soon as it is known of which model."""
        taken = self._beginnings.get((bytes(message[: self._start]), len(message))) or self._split(message)
        if taken is None or (names := self._names.get(taken.head)) is None:
            return self._read_anew(message, taken, check, forwarded)
        servable = self._lookup(*names)
        plan = servable.plans.get((taken.head, taken.sizes, forwarded))
        if plan is None:
            return self._read_anew(message, taken, check, forwarded)
        check(servable)
        return _ask(servable, plan, message, taken)

    def stop(self) -> None:
        """Refuse all that come from now on; calls that are open already may bring more of them."""
        self._lookup = _refuse

    def _split(self, message: bytes | memoryview) -> Split | None:
        taken = split(message)
        if taken is not None and not taken.id and len(taken.sizes) == 1 and taken.start <= _MAX_KEY_NBYTES:
            if len(self._beginnings) >= _MAX_NAMES:
                self._beginnings.clear()
            self._start = taken.start
            self._beginnings[bytes(message[: taken.start]), len(message)] = taken
        return taken

    def _read_anew(
        self,
        message: bytes | memoryview,
        taken: Split | None,
        check: Callable[[LoadedVersion], None],
        forwarded: Headers,
    ) -> Ask:
        given = decode(message, taken)
        version = check_version(given.version)
        servable = self._lookup(given.model, version)
        check(servable)
        request, empty_final = read_infer(given)
        request = with_headers(request, forwarded)
        made = make_request_plan(request, servable.signature)
        if taken is None:
            taken = Split(b"", given.id.encode(), (), 0)
        nameless = dataclasses.replace(request, id="")
        marked = encode_facts(dataclasses.replace(request, id=_MARK), servable.signature)
        start, _, end = marked.partition(json.dumps(_MARK).encode())
        plan = Plan(
            request=nameless,
            meta=encode_facts(nameless, servable.signature) if request.id else made.meta,
            layout=made.layout,
            batch_size=made.batch_size,
            shape_key=made.shape_key,
            strings=made.strings,
            classification=made.classification,
            model_name=servable.name,
            version=given.version,
            named=(start, end),
            empty_final=empty_final,
            answers=Answers(servable.name, str(servable.version)),
        )
        if len(taken.head) <= _MAX_KEY_NBYTES and all(item.inline is None for item in request.inputs):
            intake.remember(servable, (taken.head, taken.sizes, forwarded), plan)
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()
            self._names[taken.head] = (given.model, version)
        return _ask(servable, plan, message, taken)


def _refuse(name: str, version: str) -> LoadedVersion:
    text = "Server is stopping, scheduler for model has stopped accepting new inference requests"
    raise PyServeError(Code.UNAVAILABLE, text)


def _trace_context(told: CallHead) -> Mapping[str, str] | None:
    """The trace of the client's that a call belongs to, by the names of its metadata."""
    if b"traceparent" not in told.metadata:
        return None
    names = ("traceparent", "tracestate")
    return {name: told.metadata.get(name.encode(), b"").decode("latin-1") for name in names}


def _ask(servable: LoadedVersion, plan: Plan, message: bytes | memoryview, taken: Split) -> Ask:
    own: RequestPlan = plan
    if taken.id:
        try:
            own = plan.with_id(taken.id.decode())
        except UnicodeDecodeError:
            raise PyServeError(Code.INTERNAL, "the message cannot be read: its id is not UTF-8") from None
    body = memoryview(message)[taken.start :]
    if plan.strings:
        intake.check_strings(own, servable, body)
    return Ask(servable, plan, own, body, request_id_field(taken.id))
