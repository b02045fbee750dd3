from __future__ import annotations

from jupyter_pyserve.engine.watching.tally import Tally


def test_nothing_yet() -> None:
    assert Tally().latency_ms is None


def test_spread_and_sizes() -> None:
    tally = Tally()
    for ms in range(1, 101):
        tally.add(2 if ms > 50 else 1, ms * 1_000_000)
    assert tally.latency_ms == {"p50": 50.0, "p99": 99.0}
    assert dict(tally.batch_sizes) == {1: 50, 2: 50}


def test_old_ones_are_forgotten() -> None:
    tally = Tally()
    tally.add(1, 10**12)
    assert tally.latency_ms == {"p50": 1e6, "p99": 1e6}
    for _ in range(256):
        tally.add(1, 2_000_000)
    assert tally.latency_ms == {"p50": 2.0, "p99": 2.0}
