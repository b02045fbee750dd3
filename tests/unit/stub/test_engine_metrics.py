"""A registry beyond a channel: what goes over it, and what is decided on this side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub.engine_metrics import EngineMetrics
from pyserve_stub.metrics import COUNTER, DELETED, GAUGE, HISTOGRAM, MetricError
from pyserve_stub.wire import frames

from tests.unit.stub.peer import Peer, started


class Bench(Peer):
    """The test is the engine."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics = EngineMetrics(self.session)

    def answering(self, work: Any, **reply: Any) -> tuple[dict[str, Any], Any]:
        """What was asked during `work`, and what it came to with that reply."""
        thread, results = started(work)
        call = frames.decode_cold(self.next())
        self.tell(frames.REPLY, {"id": call.pop("id"), **reply})
        thread.join()
        return call, results[0]

    def family(self, handle: int = 1, kind: int = COUNTER) -> None:
        self.answering(lambda: self.metrics.open_family("n", "d", kind), ok=True, handle=handle)

    def series(self, handle: int = 2, family: int = 1) -> None:
        self.answering(lambda: self.metrics.open_series(family, {}, None), ok=True, handle=handle)

    def notes(self) -> list[dict[str, Any]]:
        return [frames.decode_cold(data) for data in self.told() if data[0] == frames.NOTE]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_handles_are_the_engines(bench: Bench) -> None:
    call, handle = bench.answering(lambda: bench.metrics.open_family("n", "d", GAUGE), ok=True, handle=7)
    assert (call, handle) == ({"op": "open_metric_family", "name": "n", "description": "d", "kind": GAUGE}, 7)
    call, handle = bench.answering(lambda: bench.metrics.open_series(7, {"a": "b"}, [1.0]), ok=True, handle=8)
    assert (call, handle) == ({"op": "open_metric", "handle": 7, "labels": {"a": "b"}, "buckets": [1.0]}, 8)


def test_a_change_waits_for_nobody(bench: Bench) -> None:
    bench.family()
    bench.series()
    for value in (1, 2.5):
        bench.metrics.apply(2, "increment", value)
    assert bench.notes() == [
        {"op": "metric", "handle": 2, "operation": "increment", "value": 1},
        {"op": "metric", "handle": 2, "operation": "increment", "value": 2.5},
    ]


def test_a_value_is_the_engines(bench: Bench) -> None:
    bench.family()
    bench.series()
    call, value = bench.answering(lambda: bench.metrics.apply(2, "value", 0.0), ok=True, value=42)
    assert (call, value) == ({"op": "metric", "handle": 2, "operation": "value", "value": 0.0}, 42.0)


@pytest.mark.parametrize(
    ("kind", "operation", "value", "text"),
    [
        (COUNTER, "increment", -1, "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically"),
        (COUNTER, "set", 1, "TRITONSERVER_METRIC_KIND_COUNTER does not support Set"),
        (GAUGE, "observe", 1, "TRITONSERVER_METRIC_KIND_GAUGE does not support Observe"),
        (HISTOGRAM, "value", 0, "TRITONSERVER_METRIC_KIND_HISTOGRAM does not support Value"),
    ],
)
def test_what_may_not_be_done_is_refused_here(bench: Bench, kind: int, operation: str, value: float, text: str) -> None:
    bench.family(kind=kind)
    bench.series()
    with pytest.raises(MetricError, match=text):
        bench.metrics.apply(2, operation, value)
    assert bench.notes() == []


def test_a_metric_does_not_outlive_its_family(bench: Bench) -> None:
    bench.family()
    bench.series()
    bench.metrics.close_family(1)
    with pytest.raises(MetricError) as caught:
        bench.metrics.apply(2, "increment", 1)
    assert str(caught.value) == DELETED
    bench.metrics.close_series(2)
    assert bench.notes() == [{"op": "close_metric_family", "handle": 1}, {"op": "close_metric", "handle": 2}]


def test_what_the_engine_refuses_has_its_text(bench: Bench) -> None:
    _, error = bench.answering(
        lambda: bench.metrics.open_family("n", "d", GAUGE), ok=False, error="Family name already exists"
    )
    assert isinstance(error, MetricError)
    assert str(error) == "Family name already exists"


def test_labels_that_json_cannot_say(bench: Bench) -> None:
    bench.family()
    with pytest.raises(MetricError, match="attempt to access JSON non-string as string"):
        bench.metrics.open_series(1, {"a": object()}, None)
    assert bench.told() == []


def test_without_an_engine_changes_are_lost_and_questions_fail(bench: Bench) -> None:
    bench.family()
    bench.series()
    bench.sock.close()
    bench.metrics.apply(2, "increment", 1)
    with pytest.raises(MetricError, match="the server is gone"):
        bench.metrics.apply(2, "value", 0.0)
    bench.metrics.close_series(2)
    bench.metrics.close_family(1)
