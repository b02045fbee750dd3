from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jupyter_pyserve.engine.job import Job, Response, Sink
from jupyter_pyserve.engine.tracing.sampler import Sampler
from jupyter_pyserve.engine.tracing.watch import Carrier, Watch
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.telemetry.traces import Front, Part, TraceRecord

ON = TraceSettings(levels=("TIMESTAMPS",), rate=1, file="t.json")


class Nobody:
    def deliver(self, job: Job, response: Response) -> None:
        """Never called."""


class Spans:
    def __init__(self) -> None:
        self.continued: list[Carrier | None] = []
        self.ended: list[TraceRecord] = []

    def is_context(self, carrier: Carrier) -> bool:
        return carrier["traceparent"] == "good"

    def continues(self, record: TraceRecord, carrier: Carrier | None) -> None:
        self.continued.append(carrier)

    def begin(self, record: TraceRecord, part: Part) -> str:
        return ""

    def end(self, record: TraceRecord) -> None:
        self.ended.append(record)


class Bench:
    """A sampler, and what it wrote: how many traces, and whether to a file with a number."""

    def __init__(self, settings: TraceSettings) -> None:
        self.written: list[tuple[int, bool]] = []
        self.spent = 0
        self.spans = Spans()
        self.sampler = Sampler(settings, itertools.count(1).__next__, self, self.spans, self._on_spent)
        self._ids = itertools.count(1)

    def _on_spent(self) -> None:
        self.spent += 1

    def write(self, records: Sequence[TraceRecord], *, indexed: bool) -> None:
        self.written.append((len(records), indexed))

    def watch(self, carrier: Carrier | None = None) -> Sink:
        found = self.sampler.watch(Nobody(), Front.HTTP, (1, 2), carrier)
        if isinstance(found, Watch):
            found._trace.record.parts.append(found._part)
        return found

    def run(self, count: int) -> list[bool]:
        """Requests that are answered at once; whether each was traced."""
        return [isinstance(self.watch(), Watch) for _ in range(count)]


def test_one_of_so_many_is_traced() -> None:
    bench = Bench(replace(ON, rate=3))
    assert bench.run(7) == [False, False, True, False, False, True, False]


def test_only_so_many_are_traced_and_then_written() -> None:
    bench = Bench(replace(ON, rate=2, count=2))
    assert bench.run(7) == [False, True, False, True, False, False, False]
    assert bench.sampler.remaining == 0
    assert bench.spent == 1
    assert not bench.sampler.wants_any
    assert bench.written == [(2, True)]


def test_the_last_of_so_many_waits_for_those_before() -> None:
    bench = Bench(replace(ON, count=2))
    first = bench.watch()
    bench.run(1)
    assert bench.written == []
    assert bench.spent == 0
    del first
    assert bench.written == [(2, True)]
    assert bench.spent == 1


def test_so_many_are_written_at_a_time() -> None:
    bench = Bench(replace(ON, log_frequency=2))
    bench.run(5)
    assert bench.written == [(2, True), (2, True)]
    bench.sampler.retire()
    assert bench.written[2:] == [(1, True)]


def test_the_rest_is_written_when_other_settings_hold() -> None:
    bench = Bench(ON)
    under_way = bench.watch()
    bench.run(2)
    bench.sampler.retire()
    assert not bench.sampler.wants_any
    assert bench.written == []
    del under_way
    assert bench.written == [(3, False)]


def test_many_are_not_kept_in_memory() -> None:
    bench = Bench(ON)
    bench.run(200)
    assert sum(count for count, _ in bench.written) > 100
    assert not any(indexed for _, indexed in bench.written)


def test_what_was_refused_before_there_was_anything_to_say_is_not_written() -> None:
    bench = Bench(replace(ON, log_frequency=1))
    bench.sampler.watch(Nobody(), Front.HTTP, (1, 2))
    bench.sampler.retire()
    assert bench.written == []


@pytest.mark.parametrize("settings", [replace(ON, levels=()), replace(ON, rate=0), replace(ON, file="")])
def test_settings_that_trace_nothing(settings: TraceSettings) -> None:
    bench = Bench(settings)
    assert not bench.sampler.wants_any
    assert bench.run(2) == [False, False]


def test_a_trace_of_the_client_s_is_always_continued() -> None:
    bench = Bench(replace(ON, rate=0, mode=TraceMode.OPENTELEMETRY))
    assert bench.sampler.wants_any
    assert not isinstance(bench.watch(), Watch)
    assert not isinstance(bench.watch({"traceparent": "bad"}), Watch)
    watch: Sink | None = bench.watch({"traceparent": "good"})
    assert isinstance(watch, Watch)
    assert bench.spans.continued == [{"traceparent": "good"}]
    del watch
    gc.collect()
    assert len(bench.spans.ended) == 1
    assert bench.written == []


def test_in_triton_s_mode_a_trace_of_the_client_s_does_not_matter() -> None:
    bench = Bench(replace(ON, rate=2))
    assert not isinstance(bench.watch({"traceparent": "good"}), Watch)
