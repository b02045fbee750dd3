"""Answers out of the cache, as front ends, peers and ensembles take any answer.

A socket is written from the cache itself. Who needs descriptors gets a copy in shared memory that is its own, as a
stub's answer would be: it may be written to, and goes when it is released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.cache.store import Kept
from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.engine.memory.arena import Arena, Segment

_ALIGNMENT = 64


class Copies:
    """The memory that answers of one model version are copied to; made when the first is."""

    def __init__(self, limit_nbytes: int) -> None:
        self._arena = Arena("pyserve-recalled", limit_nbytes, lambda segment: None)

    @property
    def segments(self) -> Mapping[int, Segment]:
        """The memory, by segment id."""
        return self._arena.segments

    def place(self, data: Sequence[bytes]) -> list[PlainDescriptor]:
        """Copy tensors, under one lease; raises `WireError` when there is no room."""
        sizes = [-(-len(item) // _ALIGNMENT) * _ALIGNMENT for item in data]
        block = self._arena.allocate(sum(sizes))
        if block is None:
            raise WireError(f"Failed to increase the shared memory pool size for an answer of {sum(sizes)} bytes")
        descriptors, offset = [], block.offset
        for item, size in zip(data, sizes):
            self._arena.view(block.segment, offset, len(item))[:] = item
            descriptors.append((block.segment, offset, len(item), block.id))
            offset += size
        return descriptors

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """Nobody reads these tensors any more."""
        for descriptor in descriptors:
            self._arena.free(descriptor[3])

    def trim(self) -> None:
        """Give the pages of everything that is free back to the system."""
        self._arena.trim()

    def close(self) -> None:
        """The model version is gone; what is still lent out stays."""
        self._arena.close()


class Recalled(Response):
    """An answer that was given before."""

    __slots__ = ("_copies", "_kept")

    def __init__(self, job: Job, kept: Kept, copies: Copies) -> None:
        super().__init__(job, None, "", kept.layout, kept.tensors, (), kept.parameters)
        self._kept = kept
        self._copies = copies

    def views(self) -> list[memoryview]:
        """The bytes of each tensor."""
        return [memoryview(item) for item in self._kept.data]

    def places(self) -> Sequence[PlainDescriptor]:
        """Where each tensor lies, which is for whoever asked from now on."""
        if self.lender is None:
            self.descriptors = self._copies.place(self._kept.data)
            self.lender = self._copies
        return self.descriptors
