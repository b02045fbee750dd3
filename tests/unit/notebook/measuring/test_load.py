from __future__ import annotations

import threading

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.measuring.load import run_level


def silent(share: float) -> None:
    """Nobody wants to know."""


def test_as_many_are_under_way_as_was_asked_for() -> None:
    together, met = threading.Barrier(3), threading.Event()

    def call() -> None:
        if not met.is_set():
            together.wait(30)  # for ever, were there fewer
            met.set()

    level = run_level(call, 3, 0.05, stop=threading.Event(), on_time=silent)
    assert level is not None
    assert met.is_set()


def test_failures_are_counted_and_go_on() -> None:
    def call() -> None:
        raise PyServeError(Code.UNAVAILABLE, "no room")

    level = run_level(call, 1, 0.05, stop=threading.Event(), on_time=silent)
    assert level is not None
    assert level.requests == 0
    assert level.failures > 1
    assert level.error == "no room"


def test_a_fault_of_the_caller_is_raised() -> None:
    def call() -> None:
        raise TypeError("not like this")

    with pytest.raises(TypeError, match="not like this"):
        run_level(call, 2, 60.0, stop=threading.Event(), on_time=silent)


def test_it_can_be_stopped() -> None:
    stop = threading.Event()
    level = run_level(lambda: None, 2, 60.0, stop=stop, on_time=lambda share: stop.set())
    assert level is None


def test_it_says_how_far_it_is() -> None:
    shares: list[float] = []
    run_level(lambda: None, 1, 0.25, stop=threading.Event(), on_time=shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
