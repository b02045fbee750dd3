"""Shared memory that the engine makes: anonymous, sealed against shrinking, handed over as file descriptors.

One process allocates in an arena; in an `Arena` that is the engine. The segments in which a stub or a kernel allocates
are made here too, but their book-keeping is the other side's.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import mmap
import os
from collections.abc import Callable, Sequence
from typing import Any

from pyserve_stub.wire.allocator import Block, BlockAllocator

_log = logging.getLogger(__name__)

_PAGE_NBYTES = 4096
_FIRST_SEGMENT_NBYTES = 1 << 20
_LARGEST_STEP_NBYTES = 1 << 28
_ids = itertools.count(1)


class Segment:
    """One piece of shared memory; `view` is all of it, in this process. MemoryError when the system has none."""

    __slots__ = ("_ending", "_mapping", "_pins", "fd", "id", "nbytes", "of_client", "view")

    def __init__(self, nbytes: int, name: str, *, of_client: bool = False, fd: int | None = None) -> None:
        """`fd` is memory that is there already; it is not mapped here, and `view` is empty."""
        self.id = next(_ids)
        #: Whether it is a client's own, which models may read and not change.
        self.of_client = of_client
        self.nbytes = nbytes
        self._pins = 0
        self._ending = False
        self.view = memoryview(b"")
        self._mapping: mmap.mmap | None = None
        if fd is not None:
            self.fd = fd
            return
        try:
            self.fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            raise MemoryError(f"no descriptor for {nbytes} bytes of shared memory: {error.strerror}") from error
        try:
            os.ftruncate(self.fd, nbytes)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._mapping = mmap.mmap(self.fd, nbytes)
        except OSError as error:
            os.close(self.fd)
            raise MemoryError(f"{nbytes} bytes of shared memory cannot be had: {error.strerror}") from error
        self.view = memoryview(self._mapping)

    def announce(self, *, writable: bool, arena: str = "") -> dict[str, Any]:
        """How a frame that carries the descriptor describes it."""
        return {"id": self.id, "nbytes": self.nbytes, "writable": writable, "arena": arena}

    def show(self, note: Callable[[dict[str, Any], Sequence[int]], None]) -> None:
        """Let a process have it, by a note with a descriptor."""
        writable = not self.of_client
        with self.descriptor(writable=writable) as fd:
            note({"segments": [self.announce(writable=writable)]}, (fd,))

    @contextlib.contextmanager
    def descriptor(self, *, writable: bool) -> Any:
        """A descriptor to hand over; a reader gets one that the kernel itself keeps from writing."""
        if writable:
            yield self.fd
            return
        fd = os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def read(self, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range that lies inside."""
        return self.view[offset : offset + nbytes]

    def discard(self, offset: int, nbytes: int) -> None:
        """Give the pages of a range that nobody uses back to the system; they read as zeros afterwards."""
        start = -(-offset // _PAGE_NBYTES) * _PAGE_NBYTES
        end = (offset + nbytes) // _PAGE_NBYTES * _PAGE_NBYTES
        if end > start and self._mapping is not None:
            self._mapping.madvise(mmap.MADV_REMOVE, start, end - start)

    @property
    def closed(self) -> bool:
        """Whether whoever made it has dropped it."""
        return self.fd < 0

    @property
    def pinned(self) -> bool:
        """Whether somebody may still hand it on."""
        return self._pins > 0

    def pin(self) -> None:
        """Somebody may still hand it on: it stays until it is unpinned as often."""
        self._pins += 1

    def unpin(self) -> None:
        """One of those who pinned it is done."""
        self._pins -= 1
        if self._ending:
            self.close()

    def close(self) -> None:
        """Drop the descriptor; the memory goes when the last view and the last peer's mapping are gone."""
        self._ending = True
        if self.fd >= 0 and not self._pins:
            os.close(self.fd)
            self.fd = -1
            self.view.release()
            self.view = memoryview(b"")
            with contextlib.suppress(BufferError):  # some of it is being sent: the mapping goes with the last view
                if self._mapping is not None:
                    self._mapping.close()


def segment_size(wanted: int, capacity: int, limit: int) -> int | None:
    """How large the next segment of an arena should be: doubling, at least what is wanted; None beyond the limit."""
    step = min(max(capacity, _FIRST_SEGMENT_NBYTES), _LARGEST_STEP_NBYTES)
    room = limit - capacity
    needed = -(-wanted // _PAGE_NBYTES) * _PAGE_NBYTES
    if needed > room:
        return None
    return max(needed, min(step, room // _PAGE_NBYTES * _PAGE_NBYTES))


class Arena:
    """Memory in which the engine allocates; it grows by whole segments up to `limit` bytes and never moves."""

    __slots__ = ("_allocator", "_limit", "_name", "_on_segment", "free", "segments")

    def __init__(self, name: str, limit: int, on_segment: Callable[[Segment], None]) -> None:
        self._name = name
        self._limit = limit
        self._on_segment = on_segment
        self._allocator = BlockAllocator()
        #: Gives a block back; a second time does nothing.
        self.free = self._allocator.free
        self.segments: dict[int, Segment] = {}

    @property
    def used(self) -> int:
        """Bytes reserved now."""
        return self._allocator.used

    @property
    def capacity(self) -> int:
        """Bytes of all segments."""
        return self._allocator.capacity

    def allocate(self, nbytes: int) -> Block | None:
        """Reserve `nbytes`; None when the limit, or the system, does not allow it now."""
        block = self._allocator.allocate(nbytes)
        if block is None:
            size = segment_size(nbytes + 64, self._allocator.capacity, self._limit)
            if size is None:
                return None
            try:
                segment = Segment(size, self._name)
            except MemoryError as error:
                _log.error("%s", error)
                return None
            self.segments[segment.id] = segment
            self._allocator.add_segment(segment.id, size)
            self._on_segment(segment)
            block = self._allocator.allocate(nbytes)
        return block

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range."""
        return self.segments[segment].view[offset : offset + nbytes]

    def write(self, segment: int, offset: int, data: memoryview) -> None:
        """Put bytes into a range, which is quicker than to look at it first."""
        self.segments[segment].view[offset : offset + len(data)] = data

    def segment(self, segment_id: int) -> Segment:
        """The segment of that id."""
        return self.segments[segment_id]

    def trim(self) -> None:
        """Give the pages of everything that is free back to the system."""
        for segment, offset, nbytes in self._allocator.free_ranges():
            self.segments[segment].discard(offset, nbytes)

    def close(self) -> None:
        """Drop all segments."""
        for segment in self.segments.values():
            segment.close()
        self.segments.clear()
