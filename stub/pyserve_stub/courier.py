"""The process that copies between memory of clients on GPUs and host memory, so that the engine touches no GPU.

It opens regions as it is told, and answers each order when it has been carried out; orders are carried out one after
the other. When a device fails at a copy it says that it is broken: that device fails from then on, but for a new
process it does not. Host memory comes as descriptors and is never mapped, so that nobody who takes it away can end this
process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
from typing import Any, Callable

from . import cuda
from .packets import receive_packet, send_packet
from .process import die_with_parent, set_title
from .vocabulary import TritonModelException
from .wire import frames

#: Host memory that devices reach at full speed, through which everything goes; it stays in the processor's cache.
_STEP_NBYTES = 1 << 20


class Refused(Exception):
    """An order that is not carried out; the text says why."""


class _Region:
    """An opened allocation of a client."""

    __slots__ = ("address", "device", "nbytes")

    def __init__(self, device: int, address: int, nbytes: int) -> None:
        self.device = device
        self.address = address
        self.nbytes = nbytes


class Courier:
    """The regions that are open, and what is done with them."""

    def __init__(self, driver: Callable[[], cuda.Driver] = cuda.driver) -> None:
        self._driver = driver
        self._regions: dict[int, _Region] = {}
        self._step: Any = None

    def open(self, region: int, device: int, handle: str, nbytes: int) -> None:
        """Open a region; it must have as many bytes."""
        driver = self._driver()
        address = driver.open(device, bytes.fromhex(handle))
        try:
            room = driver.room(device, address)
            if nbytes > room:
                raise Refused(f"a region of {nbytes} bytes in an allocation that has {room}")
        except (Refused, TritonModelException):
            driver.close(device, address)
            raise
        self._regions[region] = _Region(device, address, nbytes)

    def close(self, region: int) -> None:
        """Nothing is copied there any more."""
        found = self._regions.pop(region, None)
        if found is not None:
            self._driver().close(found.device, found.address)

    def fetch(self, region: int, at: int, nbytes: int, fd: int, offset: int) -> None:
        """Copy from a region to a file."""
        place, driver = self._place(region, at, nbytes), self._driver()
        step, address = self._buffer(place)
        for done in range(0, nbytes, _STEP_NBYTES):
            count = min(_STEP_NBYTES, nbytes - done)
            driver.fetch(place.device, place.address + at + done, address, count)
            if os.pwrite(fd, step[:count], offset + done) < count:
                raise Refused("the memory for a tensor is not there")

    def store(self, region: int, at: int, nbytes: int, fd: int, offset: int) -> None:
        """Copy from a file to a region."""
        place, driver = self._place(region, at, nbytes), self._driver()
        step, address = self._buffer(place)
        for done in range(0, nbytes, _STEP_NBYTES):
            count = min(_STEP_NBYTES, nbytes - done)
            if os.preadv(fd, [step[:count]], offset + done) < count:
                raise Refused("the memory of a tensor is not there")
            driver.store(place.device, place.address + at + done, address, count)

    def _place(self, region: int, at: int, nbytes: int) -> _Region:
        found = self._regions.get(region)
        if found is None or at + nbytes > found.nbytes:
            raise Refused("the region is not open")
        return found

    def _buffer(self, place: _Region) -> tuple[memoryview, int]:
        if self._step is None:
            address = self._driver().pinned(place.device, _STEP_NBYTES)
            self._step = memoryview((ctypes.c_ubyte * _STEP_NBYTES).from_address(address)).cast("B"), address
        step: tuple[memoryview, int] = self._step
        return step


def serve(channel: socket.socket, courier: Courier) -> None:
    """Carry out orders until the engine has no more."""
    orders: dict[str, Callable[..., None]] = {
        "open": courier.open,
        "close": courier.close,
        "fetch": courier.fetch,
        "store": courier.store,
    }
    while True:
        try:
            data, fds = receive_packet(channel)
        except ConnectionResetError:
            return
        if not data:
            return
        order = frames.decode_cold(data)
        number, op = order.pop("id"), order.pop("op")
        failure, broken = None, False
        try:
            orders[op](**order, **({"fd": fds[0]} if fds else {}))
        except (Refused, OSError) as error:
            failure = str(error)
        except TritonModelException as error:
            failure, broken = str(error), op != "open"
        finally:
            for fd in fds:
                os.close(fd)
        try:
            reply = {"id": number, "error": failure, "broken": broken}
            send_packet(channel, frames.encode_cold(frames.REPLY, reply))
        except OSError:
            return  # the engine is gone


def main() -> None:
    """`python -m pyserve_stub.courier CHANNEL_FD PARENT ROOM`: the last argument only makes room for a title."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_title(["pyserve_courier"])
    serve(channel, Courier())


if __name__ == "__main__":
    main()
