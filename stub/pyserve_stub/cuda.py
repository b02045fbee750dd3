"""The few calls of the CUDA driver that sharing device tensors needs, through ctypes, so that no package is required.

Every failure is a `TritonModelException` with Triton's text. Nothing is loaded before the first device tensor is seen,
so that a process which never sees one can still be forked.
"""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any, Callable, Iterator

import numpy as np

from pyserve_stub.vocabulary import TritonModelException

_NON_BLOCKING = 1


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
        with self.on_device(device):
            target = ctypes.c_void_p(host.__array_interface__["data"][0])
            status = self._call("cuMemcpyDtoH_v2", target, ctypes.c_uint64(address), ctypes.c_size_t(nbytes))
            self._require(status, f"Failed to copy a tensor from CUDA device with id {device}")
        return host


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
