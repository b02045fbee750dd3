from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub import cuda
from pyserve_stub.courier import Courier, serve
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.wire import frames

from tests.support.gpu import Gpu

NBYTES = 3_000_000
DATA = bytes(range(250)) * (NBYTES // 250)


class Engine:
    """Gives orders to a courier, which runs in a thread."""

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.handle = gpu.allocate(DATA)
        self.file = os.memfd_create("host")
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs = theirs
        self.broken = False
        self._thread = threading.Thread(target=serve, args=(theirs, Courier(lambda: cuda.Driver(gpu))))
        self._thread.start()

    def order(self, op: str, *fds: int, **arguments: Any) -> Any:
        send_packet(self._sock, frames.encode_cold(frames.CALL, {"id": 3, "op": op, **arguments}), fds)
        reply = frames.decode_cold(receive_packet(self._sock)[0])
        assert reply["id"] == 3
        self.broken = reply["broken"]
        return reply["error"]

    def open(self, nbytes: int = NBYTES) -> Any:
        return self.order("open", region=7, device=0, handle=self.handle.hex(), nbytes=nbytes)

    def copy(self, op: str, nbytes: int, *, at: int = 0, offset: int = 0) -> Any:
        return self.order(op, self.file, region=7, at=at, nbytes=nbytes, offset=offset)

    def close(self) -> None:
        self._sock.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._theirs.close()
        os.close(self.file)


@pytest.fixture
def engine() -> Iterator[Engine]:
    found = Engine(Gpu())
    yield found
    found.close()


def test_copies_both_ways(engine: Engine) -> None:
    os.ftruncate(engine.file, NBYTES)
    assert engine.open() is None
    assert engine.copy("fetch", NBYTES - 7, at=7, offset=3) is None
    assert os.pread(engine.file, NBYTES, 3) == DATA[7:] + bytes(4)
    assert engine.copy("store", 2_000_000, at=500_000) is None
    expected = DATA[:500_000] + (bytes(3) + DATA[7:])[:2_000_000] + DATA[2_500_000:]
    assert engine.gpu.content(engine.handle) == expected
    assert engine.order("close", region=7) is None
    assert engine.gpu.opened == []


def test_a_region_larger_than_its_allocation(engine: Engine) -> None:
    assert engine.open(NBYTES + 1) == f"a region of {NBYTES + 1} bytes in an allocation that has {NBYTES}"
    assert engine.gpu.opened == []


def test_a_region_whose_size_cannot_be_had_is_closed_again(engine: Engine) -> None:
    engine.gpu.failing = "cuMemGetAddressRange_v2"
    assert "Failed to get CUDA address range" in engine.open()
    assert engine.gpu.opened == []


def test_a_handle_that_is_none(engine: Engine) -> None:
    engine.handle = bytes(64)
    assert engine.open() == "failed to open CUDA IPC handle: error 1"
    engine.handle = b"\1".ljust(64, b"\0")
    assert engine.open() is None


@pytest.mark.parametrize("op", ["fetch", "store"])
def test_nothing_outside_a_region_is_touched(engine: Engine, op: str) -> None:
    assert engine.copy(op, 4) == "the region is not open"
    assert engine.open(8) is None
    assert engine.copy(op, 5, at=4) == "the region is not open"
    assert engine.order("close", region=9) is None


def test_host_memory_that_was_taken_away(engine: Engine) -> None:
    engine.open()
    assert engine.copy("store", 4) == "the memory of a tensor is not there"
    os.ftruncate(engine.file, 4)
    assert engine.copy("store", 4) is None


def test_it_is_broken_when_a_device_fails_at_a_copy(engine: Engine) -> None:
    os.ftruncate(engine.file, 4)
    engine.open()
    assert engine.copy("fetch", 4, at=NBYTES) is not None
    assert not engine.broken
    engine.gpu.failing = "cuMemcpyHtoD_v2"
    assert engine.copy("store", 4) == "Failed to copy a tensor to CUDA device with id 0"
    assert engine.broken
