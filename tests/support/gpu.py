"""A driver of GPUs in this very process, for `cuda.Driver`: device memory is bytes, and handles are numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


class Gpu:
    """Called as a function of the driver's: name and arguments. `failing` is the name of one that does not work."""

    def __init__(self) -> None:
        self.failing = ""
        self.allocations: dict[int, Any] = {}
        self.opened: list[int] = []
        self.calls: list[str] = []
        self._functions: dict[str, Callable[..., int | None]] = {
            "cuGetErrorName": self._name,
            "cuIpcOpenMemHandle_v2": self._open,
            "cuIpcCloseMemHandle": self._close,
            "cuMemGetAddressRange_v2": self._range,
            "cuMemHostAlloc": self._pin,
            "cuMemcpyDtoH_v2": self._fetch,
            "cuMemcpyHtoD_v2": self._store,
        }

    def allocate(self, data: bytes) -> bytes:
        """Memory of another process, with this in it; its handle."""
        self.allocations[number := len(self.allocations) + 1] = ctypes.create_string_buffer(data, len(data))
        return number.to_bytes(64, "little")

    def content(self, handle: bytes) -> bytes:
        """What it holds now."""
        content: bytes = self.allocations[int.from_bytes(handle, "little")].raw
        return content

    def __call__(self, name: str, *values: Any) -> int:
        self.calls.append(name)
        if name == self.failing:
            return 999
        function = self._functions.get(name)
        return (function(*values) or 0) if function is not None else 0

    def _name(self, status: int, text: Any) -> int:
        text._obj.value = b"CUDA_ERROR_UNKNOWN"
        return int(status != 999)

    def _open(self, address: Any, handle: Any, flags: int) -> int:
        memory = self.allocations.get(int.from_bytes(bytes(handle.reserved), "little"))
        if memory is None:
            return 1
        address._obj.value = ctypes.addressof(memory)
        self.opened.append(address._obj.value)
        return 0

    def _close(self, address: Any) -> None:
        self.opened.remove(address.value)

    def _range(self, base: Any, nbytes: Any, address: Any) -> None:
        memory = next(item for item in self.allocations.values() if ctypes.addressof(item) == address.value)
        base._obj.value, nbytes._obj.value = address.value, len(memory)

    def _pin(self, address: Any, nbytes: Any, flags: int) -> None:
        self.pinned = ctypes.create_string_buffer(nbytes.value)
        address._obj.value = ctypes.addressof(self.pinned)

    def _fetch(self, host: Any, address: Any, nbytes: Any) -> None:
        ctypes.memmove(host.value, address.value, nbytes.value)

    def _store(self, address: Any, host: Any, nbytes: Any) -> None:
        ctypes.memmove(address.value, host.value, nbytes.value)
