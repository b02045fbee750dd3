from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyserve_stub.wire.frames import encode_meta

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.scheduling.sequencer import Sequencer
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.sequences import NOT_RESCHEDULABLE, SEQUENCE_CANCELLED
from jupyter_pyserve.model.statistics import FailureReason
from tests.support.turning import until

START, END = 1, 2
CONTROLS = """
  control_input [
    { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } ] },
    { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT32 } ] }
  ]
"""


class Instance:
    """A stub that keeps what it was given until it is told to be done."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = StubState.READY
        self.in_flight: list[list[Job]] = []
        self.seen: list[list[str]] = []
        self.coroutine = False
        self.room = 1

    def execute(self, batches: list[list[Job]], now_ns: int) -> None:
        assert not self.in_flight
        self.in_flight += batches
        self.seen += [[job.id if job.counts else "-" for job in batch] for batch in batches]
        self.state = StubState.BUSY

    @property
    def executing(self) -> bool:
        return bool(self.in_flight) or self.coroutine

    def done(self) -> None:
        self.in_flight.clear()
        self.state = StubState.READY


class Bench:
    def __init__(self, scheduling: str, count: int) -> None:
        config = parse_pbtxt(
            f'backend: "python" max_batch_size: 2 sequence_batching {{ {scheduling} }}',
            model_name="m",
            path="config.pbtxt",
        )
        self.owner = SimpleNamespace(outstanding=0, job_ended=self.ended, memory_freed=lambda: None)
        self.instances = [Instance(f"m_{index}") for index in range(count)]
        self.refused: list[tuple[str, Code, str, FailureReason]] = []
        self.jobs: dict[str, Job] = {}
        self.sequencer = Sequencer(config, cast(Any, self.instances), cast(Any, self.owner), self.refuse)

    def ended(self) -> None:
        self.owner.outstanding -= 1

    def refuse(self, job: Job, code: Code, text: str, reason: FailureReason) -> None:
        self.refused.append((job.id, code, text, reason))

    def job(self, name: str, correlation_id: int | str, flags: int = 0, **facts: Any) -> Job:
        sink = SimpleNamespace(deliver=lambda job, response: None)
        memory = SimpleNamespace(free=lambda block_id: None)
        job = self.jobs[name] = Job(cast(Any, self.owner), cast(Any, memory), 0, cast(Any, sink))
        request = SimpleNamespace(id=name, correlation_id=correlation_id, flags=flags, timeout_us=0, **facts)
        meta = encode_meta(outputs=["OUT"], id=name, correlation_id=correlation_id, flags=flags)
        job.plan = SimpleNamespace(request=request, meta=meta, layout=b"layout", batch_size=1, shape_key=None)
        return job

    def offer(self, name: str, correlation_id: int | str, flags: int = 0, now_ns: int = 0) -> Job:
        job = self.job(name, correlation_id, flags)
        self.sequencer.offer(job, now_ns)
        return job

    def reschedule(self, job: Job, now_ns: int = 0) -> list[tuple[str, Code, str]]:
        instance = self.instances[0]
        instance.done()
        refused = self.sequencer.reschedule(cast(Any, instance), [job], now_ns)
        return [(item.request.id, item.code, item.text) for item in refused]

    def done(self, index: int = 0, now_ns: int = 0) -> None:
        self.instances[index].done()
        self.sequencer.pump(now_ns)


def play(scenario: Callable[[Bench], Any], scheduling: str = f"direct {{}} {CONTROLS}", count: int = 1) -> None:
    async def run() -> None:
        bench = Bench(scheduling, count)
        outcome = scenario(bench)
        if asyncio.iscoroutine(outcome):
            await outcome
        bench.sequencer.close()

    asyncio.run(run())


def facts(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(job.meta)
    return found


def test_a_request_says_where_it_is_in_its_sequence() -> None:
    def scenario(bench: Bench) -> None:
        job = bench.offer("a", 258, START)
        assert bench.instances[0].seen == [["a"]]
        assert facts(job) == {
            "outputs": ["OUT"],
            "id": "a",
            "correlation_id": 258,
            "flags": START,
            "controls": [["READY", 8, [1, 1], "01000000"], ["CORRID", 8, [1, 1], "02010000"]],
        }

    play(scenario)


def test_a_slot_without_a_request_is_filled_by_nobodys() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START)
        bench.done()
        bench.offer("b", 2, START)
        assert bench.instances[0].seen[-1] == ["-", "b"]
        filler = bench.instances[0].in_flight[0][0]
        assert facts(filler) == {
            "null": True,
            "controls": [["READY", 8, [1, 1], "00000000"], ["CORRID", 8, [1, 1], "00000000"]],
        }
        assert (filler.plan.layout, filler.descriptors, filler.batch_size) == (b"layout", (), 1)
        assert bench.owner.outstanding == 3
        filler.sink.deliver(filler, Response(filler))
        assert bench.owner.outstanding == 2
        with pytest.raises(LookupError):
            filler.memory.view(1, 0, 1)

    play(scenario)


def test_the_next_of_a_sequence_waits_for_the_one_before() -> None:
    def scenario(bench: Bench) -> None:
        for name, flags in (("a", START), ("b", 0), ("c", END)):
            bench.offer(name, 1, flags)
        assert (bench.sequencer.queued, bench.sequencer.waiting) == (2, True)
        bench.done()
        bench.done()
        bench.done()
        assert bench.instances[0].seen == [["a"], ["b"], ["c"]]
        assert not bench.sequencer.waiting

    play(scenario)


def test_sequences_are_spread_over_instances() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START)
        bench.offer("b", 2, START)
        assert [instance.seen for instance in bench.instances] == [[["a"]], [["b"]]]

    play(scenario, count=2)


def test_an_id_that_does_not_fit_is_refused_before_all_else() -> None:
    def scenario(bench: Bench) -> None:
        with pytest.raises(PyServeError) as caught:
            bench.offer("x", "five")
        assert caught.value.message == (
            "[request id: x] sequence batching control 'CORRID' data-type is 'BYTES', but model 'm' expects 'INT32'"
        )

    play(scenario)


def test_a_sequence_that_is_cut_short_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 7, START)
        assert not caplog.messages
        bench.offer("b", 7, START)

    play(scenario)
    assert caplog.messages == [
        "sequence 7 for model 'm' has a conflict. The previous sequence did not end before this sequence start. "
        "Previous sequence will be terminated early."
    ]


def test_cancelling_takes_what_follows_along() -> None:
    def scenario(bench: Bench) -> None:
        for name, flags in (("a", START), ("b", 0), ("c", 0)):
            bench.offer(name, 1, flags)
        assert not bench.sequencer.cancel(bench.jobs["a"])
        assert bench.sequencer.cancel(bench.jobs["b"])
        assert bench.refused == [("c", Code.CANCELLED, SEQUENCE_CANCELLED, FailureReason.CANCELED)]
        assert bench.sequencer.queued == 0

    play(scenario)


def test_what_was_on_a_dead_instance_is_lost_and_said() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START)
        bench.offer("b", 1)
        bench.instances[0].state = StubState.FAILED
        bench.sequencer.put_back([])
        bench.sequencer.pump(0)
        assert [(name, code) for name, code, _, _ in bench.refused] == [("b", Code.UNAVAILABLE)]
        assert "was lost when the process of instance 'm_0' ended" in bench.refused[0][2]
        with pytest.raises(PyServeError, match="was lost when"):
            bench.offer("c", 1)
        bench.offer("d", 1, START)
        bench.instances[0] = Instance("again")
        bench.sequencer.pump(0)
        assert bench.instances[0].seen == [["d"]]

    play(scenario)


def test_an_idle_sequence_ends_by_itself() -> None:
    async def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START | END)
        bench.done()
        bench.offer("b", 2, START)
        bench.done()
        await until(lambda: bench.sequencer._timer is None)
        with pytest.raises(PyServeError, match="must specify the START flag"):
            bench.offer("c", 2)

    play(scenario, scheduling="direct {} max_sequence_idle_microseconds: 1")


def test_no_sequence_ends_while_timeouts_are_suspended() -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START)
        later_ns = 100_000_000_000
        bench.sequencer.suspend_timeouts(True, 0)
        bench.done(now_ns=later_ns)
        bench.sequencer.suspend_timeouts(False, later_ns)
        bench.offer("b", 1, now_ns=later_ns)
        bench.done()
        assert bench.instances[0].seen == [["a"], ["b"]]

    play(scenario, scheduling="direct {} max_sequence_idle_microseconds: 60000000")


def test_a_wait_in_the_backlog_ends_by_itself() -> None:
    async def scenario(bench: Bench) -> None:
        for number in (1, 2):
            bench.offer(str(number), number, START)
        late = bench.job("late", 3, START)
        late.plan.request.timeout_us = 1
        bench.sequencer.offer(late, 0)
        await until(lambda: bench.refused)
        text = "timeout of the corresponding sequence has been expired"
        assert bench.refused == [("late", Code.UNAVAILABLE, text, FailureReason.REJECTED)]

    play(scenario)


def test_draining_takes_everything_that_waits() -> None:
    def scenario(bench: Bench) -> None:
        for name, flags in (("a", START), ("b", 0)):
            bench.offer(name, 1, flags)
        assert [job.id for job in bench.sequencer.drain()] == ["b"]
        assert not bench.sequencer.waiting

    play(scenario)


def test_a_rescheduled_request_comes_again_under_its_made_up_id() -> None:
    def scenario(bench: Bench) -> None:
        job = bench.offer("a", 0, END)
        assert (facts(job)["correlation_id"], facts(job)["flags"]) == (1, START)
        assert bench.reschedule(job, now_ns=5) == []
        bench.sequencer.pump(5)
        assert (facts(job)["correlation_id"], facts(job)["flags"], job.enqueue_ns) == (1, 0, 5)
        bench.done()
        assert bench.instances[0].seen == [["a"], ["a"]]
        assert bench.refused == []

    play(scenario, scheduling="iterative_sequence: true")


def test_a_cancelled_request_does_not_come_again() -> None:
    def scenario(bench: Bench) -> None:
        job = bench.offer("a", 0)
        job.cancelled = True
        assert bench.reschedule(job) == [("a", Code.CANCELLED, "")]
        bench.sequencer.pump(0)
        assert bench.instances[0].seen == [["a"]]

    play(scenario, scheduling="iterative_sequence: true")


def test_other_models_cannot_reschedule() -> None:
    def scenario(bench: Bench) -> None:
        job = bench.offer("a", 1, START)
        assert bench.reschedule(job) == [("a", Code.INTERNAL, NOT_RESCHEDULABLE)]

    play(scenario)


@pytest.mark.parametrize(("decoupled", "seen"), [("false", [["a"]]), ("true", [["a"], ["b"]])])
def test_a_coroutine_keeps_the_next_waiting_unless_its_model_is_decoupled(
    decoupled: str, seen: list[list[str]]
) -> None:
    def scenario(bench: Bench) -> None:
        bench.offer("a", 1, START)
        bench.offer("b", 1)
        bench.instances[0].coroutine = True
        bench.done()
        assert bench.instances[0].seen == seen
        bench.instances[0].coroutine = False
        bench.done()
        assert bench.instances[0].seen == [["a"], ["b"]]

    play(scenario, scheduling=f"direct {{}} }} model_transaction_policy {{ decoupled: {decoupled}")


def test_an_instance_leaves_when_its_sequences_have_ended() -> None:
    async def scenario(bench: Bench) -> None:
        leaving = bench.instances[0]
        bench.offer("a1", 1, START)
        released = bench.sequencer.release(cast(Any, leaving))
        assert released is not None
        bench.instances[:] = [Instance("fresh")]
        leaving.done()
        bench.sequencer.pump(0)
        bench.offer("b1", 2, START)
        bench.offer("a2", 1, END)
        assert (leaving.seen, bench.instances[0].seen) == ([["a1"], ["a2"]], [["b1"]])
        assert not released.done()
        leaving.done()
        assert (bench.sequencer.queued, bench.sequencer.waiting) == (0, True)  # so that whoever is answered has it look
        bench.sequencer.pump(0)
        assert (released.done(), bench.sequencer.waiting) == (True, False)
        bench.sequencer.pump(0)
        assert bench.refused == []

    play(scenario)


def test_an_instance_that_has_no_sequence_leaves_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        bench.sequencer.pump(0)
        released = bench.sequencer.release(cast(Any, bench.instances.pop()))
        bench.sequencer.pump(0)
        assert released is not None
        assert released.done()
        assert bench.sequencer.release(cast(Any, Instance("stranger"))) is None

    play(scenario)


def test_whoever_does_not_wait_for_an_instance_any_more_loses_its_sequences() -> None:
    async def scenario(bench: Bench) -> None:
        bench.offer("a1", 1, START)
        leaving = bench.instances.pop()
        released = bench.sequencer.release(cast(Any, leaving))
        assert released is not None
        leaving.done()
        bench.sequencer.pump(0)
        bench.offer("a2", 1)
        leaving.done()
        leaving.state = StubState.FAILED
        bench.sequencer.pump(0)
        assert released.done()
        with pytest.raises(PyServeError, match="was lost"):
            bench.offer("a3", 1)

    play(scenario)
