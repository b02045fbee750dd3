from __future__ import annotations

from jupyter_pyserve.engine.versions.restarts import RestartPolicy


def test_at_once_then_later_and_later_then_never() -> None:
    policy = RestartPolicy(limit=5)
    assert [policy.died(float(second)) for second in range(6)] == [0.0, 0.25, 0.5, 1.0, 2.0, None]


def test_old_deaths_are_forgiven() -> None:
    policy = RestartPolicy(limit=2)
    assert [policy.died(now) for now in (0.0, 1.0, 60.5, 200.0)] == [0.0, 0.25, 0.25, 0.0]


def test_the_wait_has_a_limit() -> None:
    policy = RestartPolicy(limit=20)
    waits = [policy.died(0.0) for _ in range(20)]
    assert waits[-1] == 30.0
    assert policy.died(0.0) is None
