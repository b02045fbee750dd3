"""Regions as the engine keeps them, over real shared memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import posix_ipc
import pytest

from jupyter_pyserve.engine.memory.regions import ClientRegions, Target
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import ShmRef

KEY = f"/pyserve-test-{os.getpid()}"
NBYTES = 100


@pytest.fixture
def memory() -> Iterator[posix_ipc.SharedMemory]:
    made = posix_ipc.SharedMemory(KEY, posix_ipc.O_CREX, size=NBYTES)
    yield made
    made.close_fd()
    made.unlink()


@pytest.fixture
def regions(memory: posix_ipc.SharedMemory) -> Iterator[ClientRegions]:
    found = ClientRegions(enabled=True)
    found.register("r", KEY, 20, 60)
    yield found
    found.close()


def test_what_is_registered_is_shown(regions: ClientRegions) -> None:
    row = {"name": "r", "key": KEY, "offset": 20, "byte_size": 60}
    assert regions.status() == [row]
    assert regions.status("r") == [row]
    assert regions.cuda_status() == []
    regions.unregister("nobody")
    regions.unregister()
    assert regions.status() == []


@pytest.mark.parametrize(
    ("key", "offset", "nbytes", "code", "text"),
    [
        ("/nobody-has-this", 0, 4, Code.INTERNAL, "Unable to open shared memory region: '/nobody-has-this'"),
        ("", 0, 0, Code.INTERNAL, "Unable to open shared memory region: ''"),
        ("a\0b", 0, 4, Code.INTERNAL, "Unable to open shared memory region: 'a\0b'"),
        ("/\ud800", 0, 4, Code.INTERNAL, "Unable to open shared memory region: '/\ud800'"),
        ("/" + "k" * 300, 0, 4, Code.INTERNAL, f"Unable to open shared memory region: '/{'k' * 300}'"),
        (KEY, 0, 101, Code.INVALID_ARG, "failed to register shared memory region 'x': invalid args"),
        (KEY, 1 << 63, 1 << 63, Code.INVALID_ARG, "failed to register shared memory region 'x': invalid args"),
        (KEY, 0, 0, Code.INVALID_ARG, "failed to register shared memory region 'x': invalid args"),
        ("///", 0, 4, Code.INVALID_ARG, "invalid shm key '///'"),
        ("/triton_python_backend_shm_region_7", 0, 4, Code.INVALID_ARG,
         "invalid shm key '/triton_python_backend_shm_region_7'"),
    ],
)  # fmt: skip
def test_what_cannot_be_registered(
    regions: ClientRegions, key: str, offset: int, nbytes: int, code: Code, text: str
) -> None:
    with pytest.raises(PyServeError) as refusal:
        regions.register("x", key, offset, nbytes)
    assert (refusal.value.code, refusal.value.message) == (code, text)
    assert len(regions.status()) == 1


def test_a_name_is_taken_once(regions: ClientRegions) -> None:
    with pytest.raises(PyServeError, match="shared memory region 'r' already in manager"):
        regions.register("r", KEY, 0, 4)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (ShmRef(region="x", offset=0, nbytes=1), "Unable to find shared memory region: 'x'"),
        (ShmRef(region="r", offset=60, nbytes=0), "Invalid offset for shared memory region: 'r'"),
        (ShmRef(region="r", offset=59, nbytes=2), "Invalid offset + byte size for shared memory region: 'r'"),
        (ShmRef(region="r", offset=0, nbytes=1 << 63), "Invalid offset + byte size for shared memory region: 'r'"),
    ],
)
def test_a_tensor_lies_inside(regions: ClientRegions, place: ShmRef, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        regions.locate(place)
    assert refusal.value.message == text


def test_reading_and_writing(regions: ClientRegions, memory: posix_ipc.SharedMemory) -> None:
    os.pwrite(memory.fd, b"input", 25)
    region, offset = regions.locate(ShmRef(region="r", offset=5, nbytes=5))
    assert bytes(region.read(offset, 5)) == b"input"
    Target("OUT", region, offset, 8).take(memoryview(b"output"))
    assert os.pread(memory.fd, 6, 25) == b"output"
    with pytest.raises(PyServeError) as refusal:
        Target("OUT", region, offset, 4).take(memoryview(b"output"))
    assert refusal.value.message == (
        "shared memory size specified with the request for output 'OUT' (4 bytes) should be at least 6 bytes to hold "
        "the results"
    )


def test_memory_that_was_taken_away_is_an_error_and_not_the_end(
    regions: ClientRegions, memory: posix_ipc.SharedMemory
) -> None:
    region, offset = regions.locate(ShmRef(region="r", offset=0, nbytes=60))
    os.ftruncate(memory.fd, 30)
    for use in (lambda: region.read(offset, 60), lambda: region.write(offset, memoryview(bytes(60)))):
        with pytest.raises(PyServeError, match="smaller than when it was registered"):
            use()
    assert os.fstat(memory.fd).st_size == 30


def test_what_a_request_uses_goes_when_it_is_used_no_more(regions: ClientRegions) -> None:
    regions.register("other", KEY, 0, 4)
    region, _ = regions.locate(ShmRef(region="r", offset=0, nbytes=1))
    region.pin()
    with pytest.raises(PyServeError, match="Cannot unregister shared memory region 'r', it is currently in use"):
        regions.unregister("r")
    with pytest.raises(PyServeError, match=r"Failed to unregister the following system shared memory regions: r$"):
        regions.unregister()
    assert [row["name"] for row in regions.status()] == ["r"]
    region.unpin()
    assert regions.status() == []
    assert region.closed


def test_nothing_is_allowed_unless_it_is() -> None:
    regions = ClientRegions(enabled=False)
    text = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
    for use in (regions.status, regions.cuda_status, regions.unregister, regions.register_cuda):
        with pytest.raises(PyServeError) as refusal:
            use()
        assert (refusal.value.code, refusal.value.message) == (Code.UNSUPPORTED, text)
