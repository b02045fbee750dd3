"""Shared segments that were handed over as file descriptors, mapped, and lent out as arrays; beside them device memory.

Arrays over a segment are made here and nowhere else: every one of them keeps the mapping exported, so that a mapping
can never be closed under an array that is still read (that would be a segmentation fault).
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Sequence, cast

import numpy as np

if TYPE_CHECKING:
    from .device_memory import DeviceRegion
    from .dlpack import DeviceMemory

#: Answers are given back at once when there are so many or so large ones.
_RETURN_COUNT = 64
_RETURN_NBYTES = 1 << 20


class SegmentError(ValueError):
    """A descriptor names memory that was not handed over."""


class _Mapped(np.ndarray):
    """All of a segment. Of a type of its own, so that numpy does not shorten chains of bases past a lease to it."""

    __slots__ = ()


class Lease(np.ndarray):
    """A stretch of a segment that keeps `hold` alive for as long as any array over it lives.

    numpy shortens chains of bases wherever the next base has the type of the new array, so neither this nor what it is
    made from may be a plain array.
    """

    __slots__ = ("hold",)
    hold: Any


def holder(array: Any) -> Lease | None:
    """The lease that an array was made from."""
    base = array
    while True:
        if isinstance(base, Lease):
            return base
        if isinstance(base, np.ndarray):
            base = base.base
        elif isinstance(base, memoryview):
            base = base.obj
        else:
            return None


class ResponseHold:
    """An answer's memory; given back when nothing refers to this."""

    __slots__ = ("lease", "nbytes", "returns")

    def __init__(self, lease: int, nbytes: int, returns: Returns) -> None:
        self.lease = lease
        self.nbytes = nbytes
        self.returns = returns

    def __del__(self) -> None:
        self.returns.add(self.lease, self.nbytes)


class Returns:
    """Leases of answers that nobody reads any more. The engine is told with the next request, or when it is many.

    Destructors call `add`, in any thread at any moment, so nothing here waits for a lock.
    """

    __slots__ = ("_leases", "_nbytes", "_tell")

    def __init__(self, tell: Callable[[Sequence[int]], None]) -> None:
        self._leases: deque[int] = deque()
        self._nbytes = 0
        self._tell = tell

    def add(self, lease: int, nbytes: int) -> None:
        """The arrays of an answer are dead."""
        self._leases.append(lease)
        self._nbytes += nbytes
        if self._nbytes >= _RETURN_NBYTES or len(self._leases) >= _RETURN_COUNT:
            self.flush()

    def flush(self) -> None:
        """Tell the engine now."""
        if self._leases:
            self._tell(self.take())

    def take(self) -> Sequence[int]:
        """What the engine is to be told. One by one: who takes at the same time takes others, and none is lost."""
        if not self._leases:
            return ()
        self._nbytes = 0
        taken: list[int] = []
        try:
            while True:
                taken.append(self._leases.popleft())
        except IndexError:
            return taken


class Segment:
    """One mapped segment; `array` and `view` are all of it as bytes."""

    __slots__ = ("_mapping", "address", "array", "id", "nbytes", "view", "writable")

    def __init__(self, segment_id: int, fd: int, nbytes: int, writable: bool) -> None:
        if os.fstat(fd).st_size < nbytes:
            raise SegmentError(f"segment {segment_id} is smaller than announced")
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        mapping = mmap.mmap(fd, nbytes, access=access)
        self._mapping = mapping
        self.id = segment_id
        self.nbytes = nbytes
        self.writable = writable
        self.array: np.ndarray[Any, Any] = np.frombuffer(mapping, dtype=np.uint8).view(_Mapped)
        self.view = memoryview(mapping)
        self.address: int = self.array.__array_interface__["data"][0]

    def discard(self, offset: int, nbytes: int) -> None:
        """Give the whole pages of a range that nobody uses back to the system; they read as zeros afterwards."""
        start = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (offset + nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        if end > start:
            self._mapping.madvise(mmap.MADV_REMOVE, start, end - start)


class Segments:
    """Every segment that this process mapped, by id and by address."""

    __slots__ = ("_by_address", "_by_id", "on_devices")

    def __init__(self) -> None:
        self._by_id: dict[int, Segment] = {}
        #: Regions of clients on devices, by id.
        self.on_devices: dict[int, DeviceRegion] = {}
        #: Sorted addresses and their segments; replaced as one, since other threads look things up in it.
        self._by_address: tuple[list[int], list[Segment]] = [], []

    def add(self, segment_id: int, fd: int, nbytes: int, writable: bool = True) -> Segment:
        """Map `nbytes` of `fd`; the descriptor is closed, the mapping keeps the memory."""
        try:
            segment = Segment(segment_id, fd, nbytes, writable)
        finally:
            os.close(fd)
        self._by_id[segment_id] = segment
        self._sort()
        return segment

    def drop(self, *segment_ids: int) -> None:
        """Forget segments; they are unmapped when the last array over them dies."""
        for segment_id in segment_ids:
            self._by_id.pop(segment_id, None)
            self.on_devices.pop(segment_id, None)
        self._sort()

    def _sort(self) -> None:
        segments = sorted(self._by_id.values(), key=lambda item: item.address)
        self._by_address = [item.address for item in segments], segments

    def __contains__(self, segment_id: int) -> bool:
        return segment_id in self._by_id

    def get(self, segment_id: int) -> Segment:
        """The segment of that id."""
        try:
            return self._by_id[segment_id]
        except KeyError:
            raise SegmentError(f"segment {segment_id} is not mapped") from None

    def lend(self, segment_id: int, offset: int, nbytes: int, hold: object) -> tuple[Lease, bool]:
        """A byte array over the range, and whether it may be written to.

        Of a region on a device, which the engine names to none but models that want that, `DeviceMemory` in its place.

        `hold` lives for as long as the array, or anything made from it, lives.
        """
        if not nbytes:
            return np.empty(0, np.uint8).view(Lease), True  # nothing is nowhere: the segment need not exist
        try:
            segment = self._by_id[segment_id]
        except KeyError:
            return cast("Lease", self._lend_on_device(segment_id, offset, nbytes, hold)), True
        if offset + nbytes > segment.nbytes:
            raise SegmentError(f"segment {segment_id} has {segment.nbytes} bytes")
        lease = segment.array[offset : offset + nbytes].view(Lease)
        lease.hold = hold
        return lease, segment.writable

    def _lend_on_device(self, segment_id: int, offset: int, nbytes: int, hold: object) -> DeviceMemory:
        region = self.on_devices.get(segment_id)
        if region is None:
            raise SegmentError(f"segment {segment_id} is not mapped")
        return region.lend(offset, nbytes, hold)

    def find(self, array: np.ndarray[Any, Any]) -> tuple[Segment, int] | None:
        """The segment and offset of a C-contiguous array that lies wholly inside a segment."""
        if array.base is None or not array.flags.c_contiguous:
            return None
        address: int = array.__array_interface__["data"][0]
        addresses, segments = self._by_address
        index = bisect_right(addresses, address) - 1
        if index < 0:
            return None
        segment = segments[index]
        offset = address - segment.address
        return (segment, offset) if offset + array.nbytes <= segment.nbytes else None
