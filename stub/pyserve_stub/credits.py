"""How many more responses a request may send, where the engine does not take as many as come."""

from __future__ import annotations

from typing import Container, Iterable


class Credits:
    """Of all requests of one stub that have a limit; empty for most."""

    __slots__ = ("_cancelled", "_left")

    def __init__(self, cancelled: Container[int]) -> None:
        """Requests that are `cancelled` have no limit any more: nobody takes what they send."""
        self._cancelled = cancelled
        self._left: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._left)

    def open(self, key: int, window: int) -> None:
        """A request that may send so many before the first is taken."""
        self._left[key] = window

    def close(self, key: int) -> None:
        """It is answered to the end."""
        self._left.pop(key, None)

    def grant(self, keys: Iterable[int]) -> None:
        """One more each."""
        for key in keys:
            if key in self._left:
                self._left[key] += 1

    def allows(self, key: int) -> bool:
        """Whether it may send one now."""
        return self._left.get(key, 1) > 0 or key in self._cancelled

    def spend(self, key: int) -> None:
        """It sends one."""
        if key in self._left:
            self._left[key] -= 1
