"""A lane's memory as the client sees it: arrays born in it, and answers that lie in a stub's memory until they die.

No lock is taken in destructors, which run in any thread at any moment: they only append to a list.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from pyserve_stub.memory import Lease, Segments, holder
from pyserve_stub.wire.allocator import BlockAllocator

Array = np.ndarray[Any, np.dtype[Any]]


class _BlockHold:
    """A block of the lane; free again when nothing refers to this."""

    __slots__ = ("_dropped", "block_id")

    def __init__(self, block_id: int, dropped: deque[int]) -> None:
        self.block_id = block_id
        self._dropped = dropped

    def __del__(self) -> None:
        self._dropped.append(self.block_id)


class LaneMemory:
    """Allocates in the lane's segments; not thread-safe, the lane's lock is held around it."""

    def __init__(self) -> None:
        self.segments = Segments()
        self._allocator = BlockAllocator()
        self._own: set[int] = set()
        self._dropped: deque[int] = deque()

    def add_own(self, segment_id: int, fd: int, nbytes: int) -> None:
        """A segment in which this process allocates."""
        self.segments.add(segment_id, fd, nbytes, writable=True)
        self._own.add(segment_id)
        self._allocator.add_segment(segment_id, nbytes)

    def owns(self, segment_id: int) -> bool:
        """Whether a segment is the lane's own, not a stub's."""
        return segment_id in self._own

    @property
    def used(self) -> int:
        """Bytes of arrays that are alive."""
        self._collect()
        return self._allocator.used

    def allocate(self, nbytes: int) -> Lease | None:
        """A stretch of lane memory; None when it must grow first."""
        self._collect()
        block = self._allocator.allocate(nbytes)
        if block is None:
            return None
        return self.segments.lend(block.segment, block.offset, nbytes, _BlockHold(block.id, self._dropped))[0]

    def _collect(self) -> None:
        while self._dropped:
            self._allocator.free(self._dropped.popleft())

    def locate(self, array: Array) -> tuple[int, int] | None:
        """Segment and offset of an array that already lies in the lane's own memory, whole and in C order."""
        found = self.segments.find(array)
        if found is None or found[0].id not in self._own or holder(array) is None:
            return None
        return found[0].id, found[1]
