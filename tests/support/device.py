"""Memory of a GPU as a client has it: of a real one, or of one that a library of ours stands for.

A client of one process: what it makes is there for its main thread only.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from pyserve_stub.cuda import HANDLE_NBYTES

_SOURCE = Path(__file__).with_name("stand_in_cuda.c")


def build_stand_in(folder: Path) -> Path:
    """Compile the library that stands for the driver."""
    library = folder / "libcuda.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-lrt"], check=True)
    return library


class Device:
    """The first GPU; memory is freed when it is closed."""

    def __init__(self, library: str) -> None:
        self._cuda = ctypes.CDLL(library)
        self._addresses: list[int] = []
        self._do("cuInit", 0)
        context = ctypes.c_void_p()
        self._do("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self._do("cuCtxPushCurrent_v2", context)

    def _do(self, name: str, *values: object) -> None:
        status = getattr(self._cuda, name)(*values)
        assert not status, f"{name}: {status}"

    def allocate(self, nbytes: int) -> int:
        """The address of so many bytes."""
        address = ctypes.c_uint64()
        self._do("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(nbytes))
        self._addresses.append(address.value)
        return address.value

    def handle(self, address: int) -> bytes:
        """By what other processes open it."""
        handle = (ctypes.c_ubyte * HANDLE_NBYTES)()
        self._do("cuIpcGetMemHandle", ctypes.byref(handle), ctypes.c_uint64(address))
        return bytes(handle)

    def write(self, address: int, data: bytes) -> None:
        """Copy to it."""
        self._do("cuMemcpyHtoD_v2", ctypes.c_uint64(address), data, ctypes.c_size_t(len(data)))
        self._do("cuCtxSynchronize")

    def read(self, address: int, nbytes: int) -> bytes:
        """Copy from it."""
        data = ctypes.create_string_buffer(nbytes)
        self._do("cuMemcpyDtoH_v2", data, ctypes.c_uint64(address), ctypes.c_size_t(nbytes))
        return data.raw

    def close(self) -> None:
        """Free everything."""
        for address in self._addresses:
            self._do("cuMemFree_v2", ctypes.c_uint64(address))
        self._addresses.clear()
