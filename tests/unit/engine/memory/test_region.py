"""Regions by themselves, the system's over real shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import posix_ipc
import pytest

from jupyter_pyserve.engine.memory.region import CudaRegion, SystemRegion, Target
from jupyter_pyserve.errors import PyServeError
from tests.unit.engine.memory.conftest import KEY


@pytest.fixture
def region(memory: posix_ipc.SharedMemory) -> Iterator[SystemRegion]:
    found = SystemRegion("r", KEY, 20, 60)
    yield found
    found.close()


def test_reading_and_writing(region: SystemRegion, memory: posix_ipc.SharedMemory) -> None:
    os.pwrite(memory.fd, b"input", 25)
    assert bytes(region.read(25, 5)) == b"input"
    Target("OUT", region, 25, 8).take(memoryview(b"output"))
    assert os.pread(memory.fd, 6, 25) == b"output"
    with pytest.raises(PyServeError) as refusal:
        Target("OUT", region, 25, 4).take(memoryview(b"output"))
    assert refusal.value.message == (
        "shared memory size specified with the request for output 'OUT' (4 bytes) should be at least 6 bytes to hold "
        "the results"
    )


def test_what_one_call_does_not_read_the_next_ones_do(region: SystemRegion, monkeypatch: pytest.MonkeyPatch) -> None:
    region.write(0, memoryview(b"0123456789"))
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, nbytes, offset: pread(fd, min(nbytes, 4), offset))
    assert bytes(region.read(0, 10)) == b"0123456789"


def test_memory_that_was_taken_away_is_an_error_and_not_the_end(
    region: SystemRegion, memory: posix_ipc.SharedMemory
) -> None:
    os.ftruncate(memory.fd, 30)
    for use in (lambda: region.read(20, 60), lambda: region.write(20, memoryview(bytes(60)))):
        with pytest.raises(PyServeError, match="smaller than when it was registered"):
            use()
    assert os.fstat(memory.fd).st_size == 30


def test_a_devices_memory_is_shown_by_its_handle() -> None:
    region, notes = CudaRegion("c", bytes(range(64)), 1, 10), list[tuple[dict[str, Any], Sequence[int]]]()
    region.show(lambda note, fds: notes.append((note, fds)))
    told = {"id": region.id, "device": 1, "handle": bytes(range(64)).hex(), "nbytes": 10}
    assert notes == [({"on_devices": [told]}, ())]


def test_a_devices_memory_is_never_read_here() -> None:
    region = CudaRegion("c", bytes(64), 0, 10)
    with pytest.raises(PyServeError, match="region 'c' is on a device, where the server does not read it"):
        region.read(0, 4)
    Target("OUT", region, 0, 4).take(memoryview(b"abcd"))
    with pytest.raises(PyServeError, match="should be at least 5 bytes"):
        Target("OUT", region, 0, 4).take(memoryview(b"abcde"))


def test_a_devices_memory_is_closed_when_it_is_used_no_more() -> None:
    region = CudaRegion("c", bytes(64), 0, 10)
    region.pin()
    region.close()
    assert not region.closed
    region.unpin()
    assert region.closed
