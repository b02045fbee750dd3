from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_pyserve.engine import intake
from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError


class Crowded:
    """A model version whose requests wait for memory."""

    crowded = True

    def __init__(self) -> None:
        self.hungry: deque[Callable[[], bool]] = deque()

    def wait_for_memory(self, retry: Callable[[], bool]) -> None:
        self.hungry.append(retry)

    def memory_full(self, nbytes: int) -> MemoryFull:
        return MemoryFull(f"{nbytes}", for_good=False)

    def feed(self) -> None:
        while self.hungry and self.hungry[0]():
            self.hungry.popleft()


def wait(version: Crowded, *places: Callable[[], Any], wanted: bool = True) -> list[Any]:
    """What becomes of requests that wait behind each other, when there is room."""
    ends: list[Any] = []

    async def run() -> None:
        for place in places:
            intake.when_there_is_room(version, 10, place, lambda: wanted, ends.append)  # type: ignore[arg-type]
        version.feed()

    asyncio.run(run())
    return ends


def test_who_waits_is_served_in_order() -> None:
    assert wait(Crowded(), lambda: "first", lambda: "second") == ["first", "second"]


def test_nobody_is_told_who_has_gone() -> None:
    version = Crowded()
    assert wait(version, lambda: "first", wanted=False) == []
    assert not version.hungry


def test_a_request_that_cannot_be_placed_any_more_hears_why_and_holds_nobody_up() -> None:
    gone = PyServeError(Code.NOT_FOUND, "Unable to find shared memory region: 'r'")

    def place() -> Any:
        raise gone

    assert wait(Crowded(), place, lambda: "second") == [gone, "second"]


def test_a_request_whose_placing_breaks_fails_and_holds_nobody_up() -> None:
    def place() -> Any:
        raise ZeroDivisionError

    failed, second = wait(Crowded(), place, lambda: "second")
    assert (failed.code, failed.message) == (Code.INTERNAL, "internal error")
    assert second == "second"


def test_as_long_as_there_is_no_room_the_first_one_stays_first() -> None:
    def place() -> Any:
        raise MemoryFull("full", for_good=False)

    version = Crowded()
    assert wait(version, place, lambda: "second") == []
    assert len(version.hungry) == 2
