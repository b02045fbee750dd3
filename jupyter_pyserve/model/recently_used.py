"""Values of a bounded total size: those that were used longest ago make room for new ones.

Knows nothing of what they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Sized(NamedTuple, Generic[V]):
    """A value, and how much of the limit it takes."""

    value: V
    size: int


class RecentlyUsed(Generic[K, V]):
    """Values by their keys; the sum of their sizes is at most `limit`."""

    __slots__ = ("_items", "limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._items: OrderedDict[K, Sized[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: K) -> bool:
        return key in self._items

    def get(self, key: K) -> V | None:
        """The value, which has been used just now."""
        found = self._items.get(key)
        if found is None:
            return None
        self._items.move_to_end(key)
        return found.value

    def put(self, key: K, value: V, size: int) -> int | None:
        """Keep a value under a new key, and say how many others had to go; None when it is larger than everything."""
        if size > self.limit:
            return None
        gone = 0
        while self.used + size > self.limit:
            _, oldest = self._items.popitem(last=False)
            self.used -= oldest.size
            gone += 1
        self._items[key] = Sized(value, size)
        self.used += size
        return gone

    def forget(self, unwanted: Callable[[K], bool]) -> None:
        """Drop every value whose key is `unwanted`."""
        for key in [key for key in self._items if unwanted(key)]:
            self.used -= self._items.pop(key).size
