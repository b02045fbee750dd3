"""Arithmetic of an arena: which bytes of which segment are taken. Integers only; the memory itself is elsewhere.

Small blocks are powers of two kept on stacks, so that the steady state is a pop and a push; large ones are first fit
over an address-ordered free list that merges neighbours. Block ids are never reused, so a late "released" cannot free
somebody else's block.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

ALIGNMENT = 64
_SMALL_BITS = 16  # blocks up to 64 KiB come from the stacks
_MIN_BITS = 6


class Block(NamedTuple):
    """A reserved range: `nbytes` is what was reserved, at least what was asked for, a multiple of the alignment."""

    id: int
    segment: int
    offset: int
    nbytes: int


class BlockAllocator:
    """Reserves and frees ranges of the segments that it was given."""

    __slots__ = ("_blocks", "_capacity", "_free", "_next_id", "_small", "_used")

    def __init__(self) -> None:
        self._free: dict[int, list[tuple[int, int]]] = {}  # segment -> sorted [(offset, nbytes)]
        self._small: list[list[tuple[int, int]]] = [[] for _ in range(_SMALL_BITS + 1)]
        self._blocks: dict[int, Block] = {}
        self._next_id = 1
        self._capacity = 0
        self._used = 0

    @property
    def capacity(self) -> int:
        """Bytes of all segments."""
        return self._capacity

    @property
    def used(self) -> int:
        """Bytes of all blocks that are reserved now."""
        return self._used

    @property
    def blocks(self) -> int:
        """How many blocks are reserved now."""
        return len(self._blocks)

    def add_segment(self, segment: int, nbytes: int) -> None:
        """Add `nbytes` (a multiple of the alignment) of fresh memory."""
        if segment in self._free or nbytes <= 0 or nbytes % ALIGNMENT:
            raise ValueError(f"segment {segment} of {nbytes} bytes cannot be added")
        self._free[segment] = [(0, nbytes)]
        self._capacity += nbytes

    def allocate(self, nbytes: int) -> Block | None:
        """Reserve at least `nbytes`; None when no segment has room."""
        if nbytes <= 1 << _SMALL_BITS:
            bits = (nbytes - 1).bit_length() if nbytes > 1 << _MIN_BITS else _MIN_BITS
            nbytes = 1 << bits
            stack = self._small[bits]
            place = stack.pop() if stack else self._carve(nbytes)
        else:
            nbytes = (nbytes + ALIGNMENT - 1) & -ALIGNMENT
            place = self._carve(nbytes)
        if place is None:
            return None
        block_id = self._next_id
        block = tuple.__new__(Block, (block_id, place[0], place[1], nbytes))  # what its own does, without the call
        self._next_id = block_id + 1
        self._blocks[block_id] = block
        self._used += nbytes
        return block

    def free(self, block_id: int) -> bool:
        """Give a block back; False when it is not (or no longer) reserved, which a late message makes normal."""
        block = self._blocks.pop(block_id, None)
        if block is None:
            return False
        _, segment, offset, nbytes = block
        self._used -= nbytes
        if nbytes <= 1 << _SMALL_BITS:
            self._small[nbytes.bit_length() - 1].append((segment, offset))
        else:
            self._insert(segment, offset, nbytes)
        return True

    def free_ranges(self) -> list[tuple[int, int, int]]:
        """(segment, offset, nbytes) of every free range, small ones merged first."""
        self._flush_small()
        return [(segment, offset, nbytes) for segment, ranges in self._free.items() for offset, nbytes in ranges]

    def _carve(self, nbytes: int) -> tuple[int, int] | None:
        place = self._first_fit(nbytes)
        if place is None and any(self._small):
            self._flush_small()
            place = self._first_fit(nbytes)
        return place

    def _first_fit(self, nbytes: int) -> tuple[int, int] | None:
        for segment, ranges in self._free.items():
            for index, (offset, room) in enumerate(ranges):
                if room == nbytes:
                    del ranges[index]
                    return segment, offset
                if room > nbytes:
                    ranges[index] = (offset + nbytes, room - nbytes)
                    return segment, offset
        return None

    def _insert(self, segment: int, offset: int, nbytes: int) -> None:
        ranges = self._free[segment]
        index = bisect_left(ranges, (offset, 0))
        if index < len(ranges) and ranges[index][0] == offset + nbytes:
            nbytes += ranges.pop(index)[1]
        if index and sum(ranges[index - 1]) == offset:
            offset, before = ranges[index - 1]
            ranges[index - 1] = (offset, before + nbytes)
        else:
            ranges.insert(index, (offset, nbytes))

    def _flush_small(self) -> None:
        for bits, stack in enumerate(self._small):
            while stack:
                segment, offset = stack.pop()
                self._insert(segment, offset, 1 << bits)
