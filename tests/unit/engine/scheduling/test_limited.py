"""Models that share resources: who executes, and who is told when something is free again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.job import Job
from jupyter_pyserve.engine.scheduling.choosing import new_dispatcher
from jupyter_pyserve.engine.scheduling.limited import LimitedDispatcher, LimitedSequencer
from jupyter_pyserve.engine.scheduling.rates import Rates, Turns
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import InstanceSpec, instance_specs, parse_pbtxt
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.settings import EngineSettings, RateLimitResource

START, END = 1, 2
R1 = "rate_limiter { resources [ { name: 'R' count: 1 } ] }"
BATCHING = "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 1000000 }"
DIRECT = "sequence_batching { direct {} }"
SECOND = 1_000_000_000


class Instance:
    """A stub that keeps what it was given until it is told to be done."""

    def __init__(self, spec: InstanceSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.state = StubState.READY
        self.in_flight: list[list[Job]] = []
        self.seen: list[list[str]] = []
        self.coroutine = False
        self.calls_others = False
        self.average_ns = 1.0
        self.outstanding = 0
        self.room = 1

    @property
    def executing(self) -> bool:
        return bool(self.in_flight) or self.coroutine

    def execute(self, batches: list[list[Job]], now_ns: int) -> None:
        assert not self.in_flight
        self.in_flight += batches
        self.seen += [[job.id for job in batch] for batch in batches]
        self.state = StubState.BUSY


class Model:
    """A dispatcher with its instances."""

    def __init__(self, rates: Rates | None, scheduling: str, groups: str) -> None:
        text = f'backend: "python" max_batch_size: 8 {scheduling} {groups}'.replace("'", '"')
        self.config = parse_pbtxt(text, model_name="m", path="config.pbtxt")
        specs = instance_specs(self.config)
        self.turns = None if rates is None else Turns(rates, self.pump)
        if self.turns is not None:
            self.turns.join(specs)
        self.instances = [Instance(spec) for spec in specs]
        self.refused: list[Job] = []
        owner = SimpleNamespace(outstanding=0, job_ended=lambda: None, memory_freed=lambda: None)
        self.dispatcher = new_dispatcher(
            self.config,
            cast(Any, self.instances),
            cast(Any, owner),
            lambda job, code, text, reason: self.refused.append(job),
            self.turns,
        )
        self.now_ns = 0

    def pump(self) -> None:
        self.dispatcher.pump(self.now_ns)

    def offer(self, *names: str, **facts: Any) -> None:
        for name in names:
            self.dispatcher.offer(job(name, **facts), self.now_ns)

    def done(self, index: int = 0) -> None:
        """Its batch is executed, which the dispatcher is told of only if it waits for that."""
        instance = self.instances[index]
        instance.in_flight.clear()
        instance.state = StubState.READY
        if self.dispatcher.waiting:
            self.pump()

    def seen(self, index: int = 0) -> str:
        return " ".join("".join(batch) for batch in self.instances[index].seen)


def job(name: str, **facts: Any) -> Job:
    plan = SimpleNamespace(meta=b"{}", request=SimpleNamespace(id=name))
    fields: dict[str, Any] = {
        "id": name,
        "batch_size": 1,
        "shape_key": 0,
        "priority": 0,
        "timeout_us": 0,
        "enqueue_ns": 0,
        "correlation_id": 0,
        "flags": 0,
        "plan": plan,
        "cancelled": False,
    }
    return cast(Job, _Queued(**fields | facts))


class _Queued:
    """Plain attributes, compared by identity."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def group(limits: str = R1, count: int = 1, more: str = "") -> str:
    return f"instance_group {{ kind: KIND_CPU count: {count} {limits} {more} }}"


def play(scenario: Callable[[Rates], Coroutine[Any, Any, None]], *resources: Any) -> None:
    async def run() -> None:
        await scenario(Rates(EngineSettings(rate_limit=True, rate_limit_resources=resources)))

    asyncio.run(run())


async def others() -> None:
    """Let those act who were told that something is theirs now."""
    await asyncio.sleep(0)


WEAK = "rate_limiter { resources [ { name: 'R' count: 1 } ] priority: 2 }"


def test_models_take_turns() -> None:
    async def scenario(rates: Rates) -> None:
        strong, weak = Model(rates, "", group()), Model(rates, "", group(WEAK))
        strong.offer(*"abcdef")
        weak.offer(*"uvwxyz")
        order = ""
        for _ in range(9):
            (running,) = (model for model in (strong, weak) if model.instances[0].in_flight)
            order += "S" if running is strong else "W"
            running.done()
            await others()
        assert order == "SSWSSWSSW"
        assert (strong.seen(), weak.seen()) == ("a b c d e f", "u v w x")

    play(scenario)


def test_instances_of_one_model_share_too() -> None:
    async def scenario(rates: Rates) -> None:
        model = Model(rates, "", group(count=2))
        model.offer(*"abc")
        assert (model.seen(0), model.seen(1)) == ("a", "")
        model.done(0)
        assert (model.seen(0), model.seen(1)) == ("a", "b")
        model.done(1)
        await others()
        assert model.seen(0) + model.seen(1) in ("a cb", "ab c")

    play(scenario)


def test_an_instance_gets_one_batch_at_a_time_however_fast_it_is() -> None:
    async def scenario(rates: Rates) -> None:
        model = Model(rates, "", group())
        model.offer(*"ab")
        assert model.seen() == "a"

    play(scenario)


def test_an_instance_without_room_gets_nothing() -> None:
    async def scenario(rates: Rates) -> None:
        model = Model(rates, "", group())
        model.instances[0].room = 0
        model.offer("a")
        assert model.seen() == ""
        model.instances[0].room = 1
        model.pump()
        assert model.seen() == "a"

    play(scenario)


def test_what_waits_for_a_seat_finds_company() -> None:
    async def scenario(rates: Rates) -> None:
        first, batching = Model(rates, "", group()), Model(rates, BATCHING, group())
        first.offer("a")
        batching.offer("u")
        batching.offer("v")
        first.done()
        await others()
        assert batching.seen() == "uv"

    play(scenario)


def test_who_waits_for_company_keeps_nobody_waiting() -> None:
    async def scenario(rates: Rates) -> None:
        batching, other = Model(rates, BATCHING, group()), Model(rates, "", group())
        batching.offer("u")  # it may execute, and would rather wait
        other.offer("a")
        assert (batching.seen(), other.seen()) == ("", "a")
        other.done()
        batching.now_ns = SECOND
        batching.pump()
        assert batching.seen() == "u"
        batching.dispatcher.close()

    play(scenario)


def test_who_was_granted_a_seat_too_late_gives_it_back() -> None:
    async def scenario(rates: Rates) -> None:
        first, second, third = (Model(rates, "", group()) for _ in range(3))
        first.offer("a")
        gone = job("x")
        second.dispatcher.offer(gone, 0)
        third.offer("u")
        assert second.dispatcher.cancel(gone)
        first.done()
        await others()
        await others()
        assert (second.seen(), third.seen()) == ("", "u")

    play(scenario)


def test_a_process_that_ends_frees_what_it_held() -> None:
    async def scenario(rates: Rates) -> None:
        first, second = Model(rates, "", group()), Model(rates, "", group())
        first.offer("a")
        second.offer("u")
        old = first.instances[0]
        old.in_flight.clear()
        old.state = StubState.FAILED
        first.pump()
        await others()
        assert second.seen() == "u"
        first.instances[0] = Instance(old.spec)
        first.offer("b")
        second.done()
        await others()
        assert first.seen() == "b"

    play(scenario)


def test_a_successor_waits_for_what_its_predecessor_executes() -> None:
    async def scenario(rates: Rates) -> None:
        model = Model(rates, "", group())
        model.offer("a")
        old = model.instances[0]
        fresh = model.instances[0] = Instance(old.spec)
        model.offer("b")
        assert fresh.seen == []
        old.in_flight.clear()
        model.pump()
        assert fresh.seen == [["b"]]

    play(scenario)


def test_a_model_that_leaves_frees_what_it_held() -> None:
    async def scenario(rates: Rates) -> None:
        first, second = Model(rates, "", group()), Model(rates, "", group())
        first.offer("a")
        second.offer("u")
        assert first.turns is not None
        first.turns.keep([])
        await others()
        assert second.seen() == "u"
        first.pump()  # late news of what is over

    play(scenario)


def test_other_instances_come_and_go() -> None:
    async def scenario(rates: Rates) -> None:
        model, other = Model(rates, "", group()), Model(rates, "", group())
        (before,) = instance_specs(model.config)
        after = InstanceSpec(name="n", group="n", kind="CPU", device_id=0, rate_limiter=before.rate_limiter)
        assert model.turns is not None
        model.offer("a")
        leaving, fresh = model.instances[0], Instance(after)
        model.turns.join([before, after])
        model.instances[0] = fresh
        model.offer("b")
        assert fresh.seen == []
        leaving.in_flight.clear()
        model.pump()
        assert fresh.seen == [["b"]]
        model.turns.keep([after])
        other.offer("u")
        model.done()
        await others()
        assert other.seen() == "u"

    play(scenario)


def test_a_coroutine_holds_its_seat_unless_the_model_is_decoupled() -> None:
    async def scenario(rates: Rates) -> None:
        plain = Model(rates, "", group())
        decoupled = Model(rates, "model_transaction_policy { decoupled: true }", group())
        plain.offer("a")
        decoupled.offer("u")
        plain.instances[0].coroutine = True
        plain.done()
        await others()
        assert decoupled.seen() == ""
        plain.instances[0].coroutine = False
        plain.pump()
        await others()
        assert decoupled.seen() == "u"
        decoupled.instances[0].coroutine = True
        plain.offer("b")
        decoupled.done()
        await others()
        assert plain.seen() == "a b"

    play(scenario)


def test_sequences_take_turns_too() -> None:
    async def scenario(rates: Rates) -> None:
        plain, sequences = Model(rates, "", group()), Model(rates, DIRECT, group())
        plain.offer("a")
        sequences.offer("u", correlation_id=7, flags=START)
        sequences.offer("v", correlation_id=7, flags=END)
        assert sequences.seen() == ""
        plain.done()
        await others()
        assert sequences.seen() == "u"
        plain.offer("b")
        sequences.done()
        await others()
        assert (plain.seen(), sequences.seen()) == ("a b", "u")
        plain.done()
        await others()
        assert sequences.seen() == "u v"
        sequences.dispatcher.close()

    play(scenario)


def test_a_sequence_that_has_ended_frees_its_seat() -> None:
    async def scenario(rates: Rates) -> None:
        plain, sequences = Model(rates, "", group()), Model(rates, DIRECT, group())
        sequences.offer("u", correlation_id=7, flags=START | END)
        plain.offer("a")
        assert (plain.seen(), sequences.seen()) == ("", "u")
        sequences.done()
        await others()
        assert plain.seen() == "a"
        sequences.dispatcher.close()

    play(scenario)


def test_a_sequence_stays_with_its_instance_though_another_comes_first() -> None:
    async def scenario(rates: Rates) -> None:
        both = group(WEAK) + group()
        sequences = Model(rates, f"{DIRECT}", both)
        for name, flags in (("u", START), ("v", 0), ("w", END)):
            sequences.offer(name, correlation_id=7, flags=flags)
            sequences.done()
            await others()
        assert (sequences.seen(0), sequences.seen(1)) == ("u v w", "")
        sequences.dispatcher.close()

    play(scenario)


def test_a_model_that_could_never_execute_is_refused() -> None:
    async def scenario(rates: Rates) -> None:
        with pytest.raises(PyServeError, match="is limited to 0 which"):
            Model(rates, "", group("rate_limiter { resources [ { name: 'S' count: 1 } ] }"))
        model = Model(rates, "", group())
        model.offer("a")
        assert model.seen() == "a"

    play(scenario, RateLimitResource("R", 1))


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("scheduling", ["", BATCHING, DIRECT])
def test_passive_instances_never_execute(limited: bool, scheduling: str) -> None:
    async def scenario(rates: Rates) -> None:
        model = Model(rates if limited else None, scheduling, group("", more="passive: true") + group(""))
        for correlation_id, name in enumerate("ab", 1):
            model.offer(name, correlation_id=correlation_id, flags=START | END)
        model.done(1)
        assert model.seen(0) == ""
        assert model.seen(1).startswith("a")
        model.dispatcher.close()

    play(scenario)


def test_nothing_is_limited_where_there_is_no_limiter() -> None:
    async def scenario(rates: Rates) -> None:
        for scheduling in ("", BATCHING, DIRECT):
            unlimited = Model(None, scheduling, group()).dispatcher
            assert not isinstance(unlimited, LimitedDispatcher | LimitedSequencer)
            assert isinstance(Model(rates, scheduling, group()).dispatcher, LimitedDispatcher | LimitedSequencer)

    play(scenario)


def test_a_request_that_waited_too_long_is_refused_while_others_execute() -> None:
    policy = "dynamic_batching { default_queue_policy { default_timeout_microseconds: 1000 } }"

    async def scenario(rates: Rates) -> None:
        first, timed = Model(rates, "", group()), Model(rates, policy, group())
        first.offer("a")
        timed.offer("u")
        timed.now_ns = SECOND
        timed.pump()
        assert [late.id for late in timed.refused] == ["u"]
        timed.dispatcher.close()

    play(scenario)
