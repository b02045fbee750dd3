"""Device memory of clients, as models get it that take inputs on a GPU: opened when the first tensor in it is seen.

A region is closed when it was dropped and no tensor over it lives any more. Knows no requests; host memory is
`memory`'s.
"""

from __future__ import annotations

from typing import Any

from . import cuda
from .dlpack import DeviceMemory


class _Opened:
    """An allocation of another process, for as long as this lives."""

    __slots__ = ("address", "device")

    def __init__(self, device: int, handle: bytes) -> None:
        self.device = device
        self.address = cuda.driver().open(device, handle)

    def __del__(self) -> None:
        if hasattr(self, "address"):
            cuda.driver().close(self.device, self.address)


class DeviceRegion:
    """A client's region on a device: `nbytes` of what `handle` stands for."""

    __slots__ = ("_device", "_handle", "_nbytes", "_opened")

    def __init__(self, device: int, handle: bytes, nbytes: int) -> None:
        self._device = device
        self._handle = handle
        self._nbytes = nbytes
        self._opened: _Opened | None = None

    def lend(self, offset: int, nbytes: int, hold: object) -> DeviceMemory:
        """A stretch that lies inside; `hold`, and the allocation, live for as long as it."""
        if offset + nbytes > self._nbytes:
            raise ValueError(f"a region of {self._nbytes} bytes has none at {offset + nbytes}")
        opened = self._opened
        if opened is None:
            opened = self._opened = _Opened(self._device, self._handle)
        return DeviceMemory(self._device, opened.address + offset, nbytes, (hold, opened))


def announced(note: dict[str, Any]) -> dict[int, DeviceRegion]:
    """The regions that a note of the engine's tells of, by id."""
    return {
        item["id"]: DeviceRegion(item["device"], bytes.fromhex(item["handle"]), item["nbytes"])
        for item in note.get("on_devices", ())
    }
