from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, WireError, encode_layout

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.peers.stub import StubPeers, needs
from jupyter_pyserve.engine.stubs.callbacks import StubServices
from jupyter_pyserve.errors import Code, PyServeError
from tests.unit.transports.http.fakes import FakeServable, signature

OUT = (TensorMeta("OUT", CODES["FP32"], (2,)),)
Where = tuple[int, int, int, int]


class Stub:
    """A calling stub, as the engine knows it."""

    def __init__(self, model: str = "caller") -> None:
        self.model = model
        self.alive = True
        self.calls_others = False
        self.in_flight: list[Any] = []
        self.waits_for: dict[int, Job] = {}
        self.segment = Segment(4096, "test")
        self.segments = {self.segment.id: self.segment}
        self.requests: dict[int, Job] = {}
        self.sent: list[bytes] = []
        self.released: list[Where] = []
        self.shown: list[Segment] = []
        self.cancelled: list[Job] = []

    def attach(self, segments: Sequence[Segment]) -> None:
        self.shown += segments

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def expect(self) -> None: ...

    def holding(self, key: int) -> Job | None:
        return self.requests.get(key)

    def release(self, descriptors: Sequence[Where]) -> None:
        self.released += descriptors

    def cancel(self, job: Job) -> None:
        self.cancelled.append(job)


class Bench:
    """One stub that calls one model."""

    def __init__(self, servable: FakeServable | None = None) -> None:
        self.servable = servable or FakeServable()
        self.stub = Stub()
        self.accepting = True
        self.registry = self
        self.routes = {("m", ""): self.servable}
        self.peers = StubPeers(cast(Any, self), StubServices())

    def all_servables(self) -> list[FakeServable]:
        return [self.servable]

    def lookup(self, name: str, version: str = "") -> FakeServable:
        if name != "m":
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.servable

    def own(self, block: int = 1) -> Where:
        """Eight bytes in the stub's own arena."""
        return (self.stub.segment.id, 64 * block, 8, block)

    def call(self, key: int, *where: Where, meta: bytes = b'{"model":"m"}', flags: int = 0, returned: Any = ()) -> None:
        layout = encode_layout([TensorMeta("IN", CODES["FP32"], (2,))] * len(where))
        request = frames.RequestFrame(key, meta, layout, where)
        before = len(self.servable.jobs)
        self.take(frames.encode_execute([request], returned, frames.INFER, flags))
        for job in self.servable.jobs[before:]:
            job.ref()  # the callee's stub reads it

    def take(self, data: bytes) -> None:
        self.peers.take(cast(Any, self.stub), data)

    def answers(self) -> list[Any]:
        taken, self.stub.sent = self.stub.sent, []
        return [item for data in taken for item in frames.decode_responses(data)[0]]

    def answer(self, segment: Segment, offset: int = 0, *, final: bool = True) -> None:
        """The callee answers its oldest call with eight bytes of its own memory."""
        job = self.servable.jobs[0]
        if final:
            self.servable.jobs.pop(0)
        self.servable.instance.segments = {segment.id: segment}
        lender = cast(Any, self.servable.instance)
        where = [(segment.id, offset, 8, 3)]
        job.sink.deliver(job, Response(job, None, "", encode_layout(OUT), OUT, where, b"", lender, final=final))


def play(scenario: Callable[[Bench], None], servable: Callable[[], FakeServable] = FakeServable) -> Bench:
    async def run() -> Bench:
        bench = Bench(servable())
        scenario(bench)
        return bench

    return asyncio.run(run())


def test_a_call_with_an_input_of_its_own() -> None:
    def scenario(bench: Bench) -> None:
        bench.stub.segment.view[64:72] = b"abcdefgh"
        bench.call(5, bench.own())
        (job,) = bench.servable.jobs
        segment = bench.stub.segment
        assert job.descriptors == [(segment.id, 64, 8, 0)]  # nobody else reads it, so the callee may write
        assert list(job.foreign) == [segment]
        assert bytes(job.memory.view(segment.id, 64, 8)) == b"abcdefgh"
        assert bench.stub.calls_others
        theirs = Segment(4096, "test")
        bench.answer(theirs, 128)
        ((key, code, flags, layout, _, (where,)),) = bench.answers()
        assert (key, code, flags, layout) == (5, 0, frames.FINAL, encode_layout(OUT))
        assert where[:3] == (theirs.id, 128, 8)
        assert bench.stub.shown == [theirs]
        assert bench.stub.released == []  # the callee still reads it
        job.unref()
        assert bench.stub.released == [bench.own()]
        assert bench.servable.instance.released == []
        bench.take(frames.encode_keys(frames.RETURN, (where[3],)))
        assert bench.servable.instance.released == [[(theirs.id, 128, 8, 3)]]
        bench.take(frames.encode_keys(frames.RETURN, (where[3], 99)))
        assert len(bench.servable.instance.released) == 1

    assert play(scenario).servable.outstanding == 0


def test_an_answer_in_the_calls_own_input_keeps_it() -> None:
    def scenario(bench: Bench) -> None:
        bench.call(5, bench.own())
        (job,) = bench.servable.jobs
        bench.servable.echo()
        ((*_, (where,)),) = bench.answers()
        assert where[:3] == bench.own()[:3]
        assert where[3]
        job.unref()
        assert bench.stub.released == []
        bench.take(frames.encode_keys(frames.RETURN, (where[3],)))
        assert bench.stub.released == [bench.own()]

    play(scenario)


def test_a_request_that_the_stub_holds_is_kept_for_the_callee() -> None:
    def scenario(bench: Bench) -> None:
        held = bench.servable.foreign_job(cast(Any, bench.servable.arena), 1, cast(Any, None))
        block = bench.servable.arena.allocate(100)
        assert block is not None
        held.block_id = block.id
        held.descriptors = [(block.segment, block.offset, 16, 0)]
        bench.stub.requests[77] = held
        name = frames.OF_REQUEST | 77
        bench.call(1, (block.segment, block.offset + 8, 8, name))
        (job,) = bench.servable.jobs
        assert job.descriptors == [(block.segment, block.offset + 8, 8, frames.SHARED)]
        held.unref()
        assert bench.servable.arena.used
        bench.servable.fail(Code.UNKNOWN, "no")
        job.unref()
        assert not bench.servable.arena.used
        with pytest.raises(WireError):
            bench.call(2, (block.segment, block.offset + 12, 8, name))

    play(scenario)


def test_an_answer_is_passed_on_and_kept() -> None:
    def scenario(bench: Bench) -> None:
        bench.call(1, bench.own())
        theirs = Segment(4096, "test")
        bench.answer(theirs)
        ((*_, (where,)),) = bench.answers()
        lease = where[3]
        bench.call(2, (theirs.id, 0, 8, frames.OF_ANSWER | lease), returned=(lease,))
        job = bench.servable.jobs[0]
        assert job.descriptors == [(theirs.id, 0, 8, frames.SHARED)]
        theirs.close()
        assert (theirs.closed, bench.servable.instance.released) == (False, [])  # it may still have to be handed on
        bench.servable.fail(Code.UNKNOWN, "no")
        job.unref()
        assert (theirs.closed, bench.servable.instance.released) == (True, [[(theirs.id, 0, 8, 3)]])
        with pytest.raises(WireError):
            bench.call(3, (theirs.id, 0, 8, frames.OF_ANSWER | lease))

    play(scenario)


def test_memory_that_it_does_not_have() -> None:
    def scenario(bench: Bench) -> None:
        mine = bench.stub.segment.id
        for where in ((mine, 4090, 8, 1), (mine, 0, 8, 0), (1 << 30, 0, 8, 1), (mine, 0, 8, frames.OF_MASK | 1)):
            with pytest.raises(WireError, match="does not hold"):
                bench.call(1, where)
        assert not bench.servable.jobs

    play(scenario)


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        (b'{"model":"x"}', "Failed for execute the inference request. Model 'x' is not ready."),
        (b'{"model":"m","outputs":["NO"]}', "unexpected inference output 'NO' for model 'm'"),
    ],
)
def test_what_is_refused_gives_its_memory_back(meta: bytes, text: str) -> None:
    def scenario(bench: Bench) -> None:
        bench.call(1, bench.own(), meta=meta)
        ((key, code, flags, _, told, _),) = bench.answers()
        assert (key, flags, told.decode()) == (1, frames.FINAL | frames.REFUSED, text)
        assert code
        assert bench.stub.released == [bench.own()]

    assert play(scenario).servable.outstanding == 0


def test_a_queue_that_refuses() -> None:
    def scenario(bench: Bench) -> None:
        bench.servable.refusal = PyServeError(Code.UNAVAILABLE, "Exceeds maximum queue size")
        bench.call(1, bench.own())
        ((_, code, flags, _, text, _),) = bench.answers()
        assert (code, text) == (Code.UNAVAILABLE + 1, b"Exceeds maximum queue size")
        assert flags & frames.REFUSED
        assert bench.stub.released == [bench.own()]

    assert play(scenario).servable.outstanding == 0


def test_a_server_that_stops_still_answers_stubs() -> None:
    def scenario(bench: Bench) -> None:
        bench.accepting = False
        bench.call(1, bench.own())
        assert len(bench.servable.jobs) == 1

    play(scenario)


def test_a_decoupled_callee() -> None:
    def scenario(bench: Bench) -> None:
        bench.call(1, bench.own())
        ((_, _, flags, _, text, _),) = bench.answers()
        assert flags & frames.REFUSED
        assert text.startswith(b"Model m is using the decoupled.")
        bench.call(2, bench.own(2), meta=b'{"model":"m","decoupled":true}')
        theirs = Segment(4096, "test")
        for number in range(3):
            bench.answer(theirs, 64 * number, final=False)
        answers = bench.answers()
        assert [item[2] for item in answers] == [0, 0, 0]
        assert len({item[5][0][3] for item in answers}) == 3
        (job,) = bench.servable.jobs
        job.sink.deliver(job, Response(job, bare=True))
        ((key, code, flags, _, _, descriptors),) = bench.answers()
        assert (key, code, flags, descriptors) == (2, 0, frames.FINAL | frames.BARE, [])

    assert play(scenario, lambda: FakeServable(signature(decoupled=True))).servable.outstanding == 0


def test_cancelling() -> None:
    def scenario(bench: Bench) -> None:
        bench.call(1, bench.own())
        bench.call(2, bench.own(2))
        queued, running = bench.servable.jobs
        running.instance = cast(Any, Stub())
        bench.take(frames.encode_keys(frames.CANCEL, (1, 2, 3)))
        # What runs is told, and answers as it likes; what does not run is over.
        assert cast(Any, running.instance).cancelled == [running]
        assert bench.servable.cancelled == [queued]
        ((key, code, flags, *_),) = bench.answers()
        assert (key, code, flags) == (1, Code.CANCELLED + 1, frames.FINAL)

    play(scenario)


def test_the_end_of_a_stub() -> None:
    def scenario(bench: Bench) -> None:
        bench.call(1, bench.own())
        bench.answer(Segment(4096, "test"))
        bench.call(2, bench.own(2))
        bench.peers.ended(cast(Any, bench.stub))
        assert bench.servable.cancelled == bench.servable.jobs
        assert len(bench.servable.instance.released) == 1
        assert bench.servable.detached == [bench.stub.segment.id]
        bench.stub.sent.clear()
        bench.servable.fail(Code.UNKNOWN, "too late")
        assert bench.stub.sent == []
        bench.peers.ended(cast(Any, Stub()))  # one that never called

    play(scenario)
    gc.collect()


def test_memory_of_a_stub_that_has_ended_stays_with_others_while_it_is_passed_on() -> None:
    def scenario(bench: Bench) -> None:
        bench.stub.segment.pin()
        bench.peers.ended(cast(Any, bench.stub))
        assert bench.servable.detached == []

    play(scenario)


def test_a_call_that_would_wait_for_ever() -> None:
    def scenario(bench: Bench) -> None:
        bench.servable.instances = [bench.stub]
        bench.call(1, bench.own())  # by a thread of its own: nobody waits for it
        assert bench.answers() == []
        bench.call(2, bench.own(2), flags=frames.BLOCKING)
        ((key, code, flags, _, text, _),) = bench.answers()
        assert (key, code, flags) == (2, Code.INTERNAL + 1, frames.FINAL | frames.REFUSED)
        assert text.decode().endswith("for ever: caller -> caller")
        assert bench.servable.cancelled == [bench.servable.jobs[1]]
        assert bench.stub.waits_for == {}
        bench.servable.instances.append(Stub())
        bench.call(3, bench.own(3), flags=frames.BLOCKING)
        assert bench.answers() == []
        assert list(bench.stub.waits_for.values()) == [bench.servable.jobs[2]]
        bench.servable.jobs = bench.servable.jobs[2:]
        bench.answer(Segment(4096, "test"))
        assert bench.stub.waits_for == {}
        bench.peers.ended(cast(Any, bench.stub))

    play(scenario)


def needed(node: Any) -> list[Any]:
    return list(needs(node))


def test_who_can_end_a_wait() -> None:
    def scenario(bench: Bench) -> None:
        other = Stub("other")
        bench.servable.instances = [other]
        bench.call(1, bench.own())
        (job,) = bench.servable.jobs
        node = cast(Any, Stub())
        node.waits_for[job.key] = job
        assert needed(node) == [(other,)]
        chosen = Stub()
        job.instance = cast(Any, chosen)
        assert needed(node) == [(chosen,)]
        chosen.alive = False
        assert needed(node) == [(other,)]
        cast(Any, bench.servable).parts = lambda whole: (job,) if whole is not job else ()
        whole = Job(cast(Any, bench.servable), cast(Any, None), 0, cast(Any, None))
        node.waits_for = {whole.key: whole}
        assert needed(node) == [(whole,)]
        assert needed(whole) == [(other,)]

    play(scenario)
