"""What may go on at a time, and what waits its turn: plain counting, for the steps of ensembles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class InFlight:
    """At most `limit` at a time, in the order in which they came."""

    __slots__ = ("_count", "_passing", "_waiting", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._count = 0
        self._passing = False
        self._waiting: deque[Callable[[], bool]] = deque()

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return len(self._waiting)

    def enter(self, begin: Callable[[], bool]) -> None:
        """Call `begin` when it is its turn, which may be now; False says that it is not wanted any more.

        What has begun must `leave`, which may happen before `begin` returns.
        """
        self._waiting.append(begin)
        self._pass()

    def leave(self) -> None:
        """One of those that have begun is over."""
        self._count -= 1
        self._pass()

    def _pass(self) -> None:
        """Not by recursion: each that begins may be over at once."""
        if self._passing:
            return
        self._passing = True
        try:
            while self._waiting and self._count < self.limit:
                self._count += 1
                if not self._waiting.popleft()():
                    self._count -= 1
        finally:
            self._passing = False
