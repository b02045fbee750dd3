"""The answers that the engine keeps, of all models together, and how often that helped.

They are copies in the engine's own memory, so neither a stub's end nor anything that a peer writes reaches them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from pyserve_stub.wire.layout import TensorMeta

from jupyter_pyserve.model.recently_used import RecentlyUsed

#: Besides its bytes: what the objects of an entry take.
_ENTRY_NBYTES = 512


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer; `layout` says the same as `tensors`, encoded."""

    layout: bytes
    tensors: tuple[TensorMeta, ...]
    data: tuple[bytes, ...]
    parameters: bytes

    @property
    def nbytes(self) -> int:
        """What it takes of the cache's size."""
        return sum(map(len, self.data)) + len(self.layout) + len(self.parameters) + _ENTRY_NBYTES


@dataclass(slots=True)
class CacheFigures:
    """What has happened so far."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    lookup_ns: int = 0
    insertion_ns: int = 0


class ResponseCache:
    """At most `limit_nbytes` of answers. Each belongs to a model version, by a number that is nobody else's."""

    def __init__(self, limit_nbytes: int) -> None:
        self.figures = CacheFigures()
        self._answers: RecentlyUsed[tuple[int, bytes], Kept] = RecentlyUsed(limit_nbytes)

    @property
    def limit_nbytes(self) -> int:
        """How large it may be."""
        return self._answers.limit

    @property
    def used_nbytes(self) -> int:
        """How large it is."""
        return self._answers.used

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, owner: int, key: bytes) -> Kept | None:
        """The answer that is known, if any; who asks adds how long that took."""
        found = self._answers.get((owner, key))
        if found is None:
            self.figures.misses += 1
        else:
            self.figures.hits += 1
        return found

    def knows(self, owner: int, key: bytes) -> bool:
        """Whether there is an answer; asking does not count as its use."""
        return (owner, key) in self._answers

    def keep(self, owner: int, key: bytes, answer: Kept) -> bool:
        """Keep a new answer; False when it is larger than everything."""
        began_ns = time.monotonic_ns()
        gone = self._answers.put((owner, key), answer, answer.nbytes)
        self.figures.insertion_ns += time.monotonic_ns() - began_ns
        self.figures.evictions += gone or 0
        return gone is not None

    def forget(self, owner: int) -> None:
        """Drop all answers of a model version."""
        self._answers.forget(lambda key: key[0] == owner)
