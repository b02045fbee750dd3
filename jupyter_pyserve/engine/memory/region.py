"""One region of memory that a client made and told the server of: system shared memory, or memory of a device.

A client may take memory away that it has promised, so the engine never maps a region: it hands it on to stubs, and
reads and writes it through its descriptor. What is on a device it does not touch at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.errors import Code, PyServeError

_MAX_KEY_NBYTES = 255


class Region(Segment):
    """A registered region of `length` bytes, from `start` on in its segment; of this kind nothing can be done yet."""

    __slots__ = ("length", "name", "on_unused", "start")

    #: What statuses of regions say that it is.
    kind = ""

    def __init__(self, name: str, fd: int, start: int, length: int) -> None:
        super().__init__(start + length, name, of_client=True, fd=fd)
        #: Called when no request uses it any more.
        self.on_unused: Callable[[], object] = bool
        self.name = name
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

    def row(self) -> dict[str, Any]:
        """What a status shows of it."""
        raise NotImplementedError

    def write(self, offset: int, data: memoryview) -> None:
        """Put bytes into a range that lies inside."""
        raise NotImplementedError


class SystemRegion(Region):
    """What lies under `key` in the system's shared memory; the segment begins where that does."""

    __slots__ = ("key",)

    kind = "system"

    def __init__(self, name: str, key: str, start: int, length: int) -> None:
        super().__init__(name, _open(name, key, start + length), start, length)
        self.key = key

    def row(self) -> dict[str, Any]:
        """What a status shows of it."""
        return {"name": self.name, "key": self.key, "offset": self.start, "byte_size": self.length}

    def read(self, offset: int, nbytes: int) -> memoryview:
        """A copy of a range, counted as in descriptors."""
        data = os.pread(self.fd, nbytes, offset)
        while len(data) < nbytes:  # one call reads 2 GiB at most
            more = os.pread(self.fd, nbytes - len(data), offset + len(data))
            if not more:
                raise _too_short(self.name)
            data += more
        return memoryview(data)

    def write(self, offset: int, data: memoryview) -> None:
        """Put bytes into a range that lies inside."""
        if os.fstat(self.fd).st_size < offset + data.nbytes:  # else the file would grow
            raise _too_short(self.name)
        written = 0
        while written < data.nbytes:
            written += os.pwrite(self.fd, data[written:], offset + written)


class CudaRegion(Region):
    """Memory of a device, known by the handle that its process gave away; only those read it who open that."""

    __slots__ = ("_closed", "device", "handle")

    kind = "cuda"

    def __init__(self, name: str, handle: bytes, device: int, length: int) -> None:
        super().__init__(name, -1, 0, length)
        self.handle = handle
        self.device = device
        self._closed = False

    def row(self) -> dict[str, Any]:
        """What a status shows of it."""
        return {"name": self.name, "device_id": self.device, "byte_size": self.length}

    def show(self, note: Callable[[dict[str, Any], Sequence[int]], None]) -> None:
        """Tell a process how to open it."""
        found = {"id": self.id, "device": self.device, "handle": self.handle.hex(), "nbytes": self.length}
        note({"on_devices": [found]}, ())

    def read(self, offset: int, nbytes: int) -> memoryview:
        """Refused: this process touches no device."""
        text = f"shared memory region '{self.name}' is on a device, where the server does not read it"
        raise PyServeError(Code.UNSUPPORTED, text)

    def write(self, offset: int, data: memoryview) -> None:
        """Nothing is left to do: outputs are taken there before their answer is looked at."""

    @property
    def closed(self) -> bool:
        """Whether it is forgotten, and no request uses it."""
        return self._closed

    def close(self) -> None:
        """It is forgotten."""
        self._ending = True
        self._closed = not self._pins


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
        raise invalid(name)
    os.set_inheritable(memory.fd, False)
    fd: int = memory.fd
    return fd


def invalid(name: str) -> PyServeError:
    """What is said of a region that is not what it is registered as."""
    return PyServeError(Code.INVALID_ARG, f"failed to register shared memory region '{name}': invalid args")


def _too_short(name: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, f"shared memory region '{name}' is smaller than when it was registered")
