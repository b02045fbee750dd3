"""The few calls of the CUDA driver that sharing device tensors needs, through ctypes, so that no package is required.

Every failure is a `TritonModelException`, with Triton's text where it has one. Nothing is loaded before the first
device tensor is seen, so that a process which never sees one can still be forked.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any, Callable, Iterator

import numpy as np

from pyserve_stub.vocabulary import TritonModelException

#: Of a handle by which another process opens an allocation of this one's.
HANDLE_NBYTES = 64

_NON_BLOCKING = 1
_LAZY_PEER_ACCESS = 1
_PORTABLE = 1


class _Handle(ctypes.Structure):
    """Passed by value, so it has to have its type."""

    _fields_ = (("reserved", ctypes.c_ubyte * HANDLE_NBYTES),)


class Driver:
    """The current thread's view of libcuda; `call` is `library function name, arguments -> status`."""

    __slots__ = ("_call", "_contexts", "_streams")

    def __init__(self, call: Callable[..., int]) -> None:
        self._call = call
        self._contexts: dict[int, ctypes.c_void_p] = {}
        self._streams: dict[int, int] = {}
        self._require(call("cuInit", 0), "Failed to get current CUDA device id.")

    @staticmethod
    def _require(status: int, message: str) -> None:
        if status != 0:
            raise TritonModelException(message)

    @contextlib.contextmanager
    def on_device(self, device: int) -> Iterator[None]:
        """Makes `device` the current one, and restores what was current before."""
        context = self._contexts.get(device)
        failure = f"Failed to set current CUDA device to {device}"
        if context is None:
            context = ctypes.c_void_p()
            self._require(self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device), failure)
            self._contexts[device] = context
        self._require(self._call("cuCtxPushCurrent_v2", context), failure)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def stream(self, device: int) -> int:
        """The handle of this process's private stream of `device`, which must be current."""
        handle = self._streams.get(device)
        if handle is None:
            stream = ctypes.c_void_p()
            status = self._call("cuStreamCreate", ctypes.byref(stream), _NON_BLOCKING)
            self._require(status, "Failed to create a CUDA stream for a DLPack call.")
            handle = self._streams[device] = stream.value or 0
        return handle

    def synchronize(self, device: int) -> None:
        """Waits for all that was queued on the private stream of `device`."""
        status = self._call("cuStreamSynchronize", ctypes.c_void_p(self.stream(device)))
        self._require(status, f"Failed to synchronize CUDA device with id {device}")

    def to_host(self, device: int, address: int, nbytes: int) -> np.ndarray[Any, Any]:
        """A copy of device memory."""
        host = np.empty(nbytes, np.uint8)
        self.fetch(device, address, host.__array_interface__["data"][0], nbytes)
        return host

    def fetch(self, device: int, address: int, host: int, nbytes: int) -> None:
        """Copy device memory to an address of the host's."""
        with self.on_device(device):
            target = ctypes.c_void_p(host)
            status = self._call("cuMemcpyDtoH_v2", target, ctypes.c_uint64(address), ctypes.c_size_t(nbytes))
            self._require(status, f"Failed to copy a tensor from CUDA device with id {device}")

    def store(self, device: int, address: int, host: int, nbytes: int) -> None:
        """Copy from an address of the host's to device memory; it is there when this returns."""
        with self.on_device(device):
            source = ctypes.c_void_p(host)
            status = self._call("cuMemcpyHtoD_v2", ctypes.c_uint64(address), source, ctypes.c_size_t(nbytes))
            status = status or self._call("cuCtxSynchronize")  # what is copied from pageable memory may still be moving
            self._require(status, f"Failed to copy a tensor to CUDA device with id {device}")

    def pinned(self, device: int, nbytes: int) -> int:
        """The address of host memory that every device copies from and to at full speed; it is kept for good."""
        address = ctypes.c_void_p()
        with self.on_device(device):
            status = self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(nbytes), _PORTABLE)
            self._require(status, "Failed to allocate pinned memory")
        return address.value or 0

    # -- memory of other processes ------------------------------------------------------------------------------------

    def open(self, device: int, handle: bytes) -> int:
        """The address here of an allocation of another process; opened twice, it has to be closed twice."""
        address = ctypes.c_uint64()
        with self.on_device(device):
            shared = _Handle.from_buffer_copy(handle)
            status = self._call("cuIpcOpenMemHandle_v2", ctypes.byref(address), shared, _LAZY_PEER_ACCESS)
            self._require(status, f"failed to open CUDA IPC handle: {self._name(status)}")
        return address.value

    def room(self, device: int, address: int) -> int:
        """How many bytes of an allocation there are from an address in it."""
        base, nbytes = ctypes.c_uint64(), ctypes.c_size_t()
        with self.on_device(device):
            status = self._call(
                "cuMemGetAddressRange_v2", ctypes.byref(base), ctypes.byref(nbytes), ctypes.c_uint64(address)
            )
            self._require(status, f"Failed to get CUDA address range: {self._name(status)}")
        return base.value + nbytes.value - address

    def close(self, device: int, address: int) -> None:
        """The allocation is not needed here any more; its process may be gone."""
        with self.on_device(device):
            self._call("cuIpcCloseMemHandle", ctypes.c_uint64(address))

    def _name(self, status: int) -> str:
        text = ctypes.c_char_p()
        if not status or self._call("cuGetErrorName", status, ctypes.byref(text)) or text.value is None:
            return f"error {status}"
        return text.value.decode("ascii", "replace")


_driver: Driver | None = None


def driver() -> Driver:
    """The driver of this process, loaded once."""
    global _driver
    if _driver is None:
        try:
            library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise TritonModelException("Failed to get current CUDA device id.") from error
        _driver = Driver(lambda name, *values: int(getattr(library, name)(*values)))
    return _driver
