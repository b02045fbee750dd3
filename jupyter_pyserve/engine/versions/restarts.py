"""When a stub that died is started again: at once, then later and later, and after too many deaths not at all.

Arithmetic only; time is an argument.
"""

from __future__ import annotations

from collections import deque

_WINDOW_S = 60.0
_LONGEST_S = 30.0


class RestartPolicy:
    """Counts the deaths of one model version's stubs."""

    __slots__ = ("_deaths", "limit")

    def __init__(self, limit: int = 5) -> None:
        self.limit = limit
        self._deaths: deque[float] = deque()

    def died(self, now_s: float) -> float | None:
        """Seconds until the next start; None when more than `limit` stubs died within a minute."""
        while self._deaths and now_s - self._deaths[0] > _WINDOW_S:
            self._deaths.popleft()
        self._deaths.append(now_s)
        count = len(self._deaths)
        if count > self.limit:
            return None
        return 0.0 if count == 1 else float(min(_LONGEST_S, 0.25 * 2 ** (count - 2)))
