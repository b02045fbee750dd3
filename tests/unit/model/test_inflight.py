from __future__ import annotations

from collections.abc import Callable

from jupyter_pyserve.model.inflight import InFlight


class Log:
    """Who has begun, in which order."""

    def __init__(self, limit: int) -> None:
        self.flight = InFlight(limit)
        self.begun: list[int] = []

    def come(self, *names: int, wanted: bool = True, then: Callable[[], None] = lambda: None) -> None:
        for name in names:
            self.flight.enter(lambda name=name: self._begin(name, wanted, then))  # type: ignore[misc]

    def _begin(self, name: int, wanted: bool, then: Callable[[], None]) -> bool:
        if wanted:
            self.begun.append(name)
            then()
        return wanted


def test_as_many_as_may_go_on_and_the_others_in_their_turn() -> None:
    log = Log(2)
    log.come(1, 2, 3, 4)
    assert (log.begun, log.flight.waiting) == ([1, 2], 2)
    log.flight.leave()
    assert log.begun == [1, 2, 3]
    log.flight.leave()
    log.flight.leave()
    log.come(5)
    assert (log.begun, log.flight.waiting) == ([1, 2, 3, 4, 5], 0)


def test_who_is_not_wanted_any_more_takes_no_place() -> None:
    log = Log(1)
    log.come(1)
    log.come(2, 3, wanted=False)
    log.come(4)
    log.flight.leave()
    assert log.begun == [1, 4]


def test_what_is_over_at_once_needs_no_stack() -> None:
    log = Log(1)
    log.come(0)
    log.come(*range(1, 5000), then=log.flight.leave)
    log.flight.leave()
    assert log.begun == list(range(5000))
