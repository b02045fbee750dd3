"""Shared memory that clients made under names of their own, and told the server of: system shared memory.

A client may take memory away that it has promised, so the engine never maps a region: it hands it on to stubs, and
reads and writes it through its descriptor. Knows nothing of requests.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import ShmRef

_DISABLED = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
#: What Triton's own processes use; ours have no names, but a client of both must not mix them up.
_RESERVED = "triton_python_backend_shm_region_"
_MAX_NAME_NBYTES = 1024
_MAX_KEY_NBYTES = 255


class Region(Segment):
    """A registered region: `length` bytes from `start` of what lies under `key`; the segment begins where that does."""

    __slots__ = ("key", "length", "name", "on_unused", "start")

    def __init__(self, name: str, key: str, start: int, length: int) -> None:
        super().__init__(start + length, name, of_client=True, fd=_open(name, key, start + length))
        #: Called when no request uses it any more.
        self.on_unused: Callable[[], object] = bool
        self.name = name
        self.key = key
        self.start = start
        self.length = length

    @property
    def in_use(self) -> bool:
        """Whether a request uses it."""
        return self._pins > 0

    def unpin(self) -> None:
        """One of those who pinned it is done."""
        super().unpin()
        if not self._pins:
            self.on_unused()

    def read(self, offset: int, nbytes: int) -> memoryview:
        """A copy of a range, counted as in descriptors."""
        data = os.pread(self.fd, nbytes, offset)
        if len(data) < nbytes:
            raise _too_short(self.name)
        return memoryview(data)

    def write(self, offset: int, data: memoryview) -> None:
        """Copy bytes to a range that lies inside."""
        if os.fstat(self.fd).st_size < offset + data.nbytes:  # else the file would grow
            raise _too_short(self.name)
        written = 0
        while written < data.nbytes:
            written += os.pwrite(self.fd, data[written:], offset + written)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output is to be put: at most `nbytes` at `offset`, counted as in descriptors."""

    name: str
    region: Region
    offset: int
    nbytes: int

    def take(self, data: memoryview) -> None:
        """Put the output there; raises `PyServeError` when it is too large."""
        if data.nbytes > self.nbytes:
            raise PyServeError(
                Code.INTERNAL,
                f"shared memory size specified with the request for output '{self.name}' ({self.nbytes} bytes) should "
                f"be at least {data.nbytes} bytes to hold the results",
            )
        if data.nbytes:
            self.region.write(self.offset, data.cast("B"))


class ClientRegions:
    """The regions that clients have registered, by name."""

    def __init__(self, *, enabled: bool, on_forgotten: Callable[[Region], None] = lambda region: None) -> None:
        self._enabled = enabled
        self._on_forgotten = on_forgotten
        self._regions: dict[str, Region] = {}

    def require_enabled(self) -> None:
        """Raise where client shared memory is not allowed."""
        if not self._enabled:
            raise PyServeError(Code.UNSUPPORTED, _DISABLED)

    def register(self, name: str, key: str, offset: int, nbytes: int) -> None:
        """Take a region in; raises with Triton's texts."""
        self.require_enabled()
        if name in self._regions:
            raise PyServeError(Code.ALREADY_EXISTS, f"shared memory region '{name}' already in manager")
        if key.lstrip("/").startswith(_RESERVED) or (key and not key.strip("/")):
            raise PyServeError(Code.INVALID_ARG, f"invalid shm key '{key}'")
        if key and (not nbytes or len(name) > _MAX_NAME_NBYTES):
            raise _invalid(name)
        self._regions[name] = Region(name, key, offset, nbytes)

    def unregister(self, name: str = "") -> None:
        """Forget a region, or all. One that a request uses is refused, and forgotten when it is used no more."""
        self.require_enabled()
        used = [known for known in ([name] if name else sorted(self._regions)) if not self._forget(known)]
        if used:
            text = f"Cannot unregister shared memory region '{name}', it is currently in use."
            if not name:
                text = f"Failed to unregister the following system shared memory regions: {' ,'.join(used)}"
            raise PyServeError(Code.INTERNAL, text)

    def _forget(self, name: str) -> bool:
        region = self._regions.get(name)
        if region is not None and region.in_use:
            region.on_unused = functools.partial(self._forget, name)
            return False
        if region is not None:
            del self._regions[name]
            self._on_forgotten(region)
            region.close()
        return True

    def status(self, name: str = "") -> list[dict[str, Any]]:
        """Rows of the status; all regions, or one that must exist."""
        self.require_enabled()
        if name and name not in self._regions:
            raise PyServeError(Code.NOT_FOUND, f"Unable to find system shared memory region: '{name}'")
        names = [name] if name else sorted(self._regions)
        regions = [self._regions[known] for known in names]
        return [
            {"name": item.name, "key": item.key, "offset": item.start, "byte_size": item.length} for item in regions
        ]

    def cuda_status(self, name: str = "") -> list[dict[str, Any]]:
        """The same of regions on GPUs, of which there are none."""
        self.require_enabled()
        if name in self._regions:
            text = f"The region named '{name}' is registered as system shared memory, not CUDA shared memory"
            raise PyServeError(Code.NOT_FOUND, text)
        if name:
            raise PyServeError(Code.NOT_FOUND, f"Unable to find cuda shared memory region: '{name}'")
        return []

    def register_cuda(self) -> None:
        """Refuse a region on a GPU as a server without one does."""
        self.require_enabled()
        raise PyServeError(Code.INVALID_ARG, "failed to register shared memory region: invalid args")

    def unregister_cuda(self) -> None:
        """There is nothing to forget."""
        self.require_enabled()

    def locate(self, place: ShmRef) -> tuple[Region, int]:
        """The region of a tensor, and where it begins, counted as in descriptors; it is all inside."""
        self.require_enabled()
        region = self._regions.get(place.region)
        if region is None:
            raise PyServeError(Code.NOT_FOUND, f"Unable to find shared memory region: '{place.region}'")
        if place.offset >= region.length:
            raise PyServeError(Code.INVALID_ARG, f"Invalid offset for shared memory region: '{place.region}'")
        if not place.nbytes or place.offset + place.nbytes > region.length:
            text = f"Invalid offset + byte size for shared memory region: '{place.region}'"
            raise PyServeError(Code.INVALID_ARG, text)
        return region, region.start + place.offset

    def close(self) -> None:
        """Forget all of them."""
        for region in self._regions.values():
            region.close()
        self._regions.clear()


def _open(name: str, key: str, nbytes: int) -> int:
    import posix_ipc

    try:
        if "\0" in key or len(key.encode()) > _MAX_KEY_NBYTES:  # the library would end the process
            raise ValueError(key)
        memory = posix_ipc.SharedMemory(key)
    except (posix_ipc.Error, OSError, ValueError) as error:
        raise PyServeError(Code.INTERNAL, f"Unable to open shared memory region: '{key}'") from error
    if os.fstat(memory.fd).st_size < nbytes:
        memory.close_fd()
        raise _invalid(name)
    os.set_inheritable(memory.fd, False)
    fd: int = memory.fd
    return fd


def _invalid(name: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, f"failed to register shared memory region '{name}': invalid args")


def _too_short(name: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, f"shared memory region '{name}' is smaller than when it was registered")
