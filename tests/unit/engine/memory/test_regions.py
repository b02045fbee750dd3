"""Regions as the engine keeps them, over real shared memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import posix_ipc
import pytest

from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import ShmRef
from tests.unit.engine.memory.conftest import KEY
from tests.unit.engine.memory.devices import FakeDevices


@pytest.fixture
def regions(memory: posix_ipc.SharedMemory) -> Iterator[ClientRegions]:
    found = ClientRegions(FakeDevices(), enabled=True)
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
    regions = ClientRegions(FakeDevices(), enabled=False)
    text = "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable."
    later = (lambda: asyncio.run(regions.unregister_cuda()), lambda: asyncio.run(regions.register_cuda("r", H, 0, 4)))
    for use in (regions.status, regions.cuda_status, regions.unregister, *later):
        with pytest.raises(PyServeError) as refusal:
            use()
        assert (refusal.value.code, refusal.value.message) == (Code.UNSUPPORTED, text)


# -- on devices -------------------------------------------------------------------------------------------------------

H = bytes(range(64))


def cuda(regions: ClientRegions) -> FakeDevices:
    asyncio.run(regions.register_cuda("c", H, 1, 60))
    assert isinstance(regions.devices, FakeDevices)
    return regions.devices


def test_a_devices_memory_is_opened_shown_and_closed(regions: ClientRegions) -> None:
    devices, row = cuda(regions), {"name": "c", "device_id": 1, "byte_size": 60}
    assert devices.opened == ["c"]
    assert regions.cuda_status() == regions.cuda_status("c") == [row]
    assert [item["name"] for item in regions.status()] == ["r"]
    assert regions.locate(ShmRef(region="c", offset=5, nbytes=55))[1] == 5
    regions.unregister()
    regions.unregister("c")
    asyncio.run(regions.unregister_cuda("nobody"))
    assert regions.cuda_status() == [row]
    asyncio.run(regions.unregister_cuda())
    assert devices.closed == ["c"]
    assert regions.cuda_status() == []
    regions.close()
    assert devices.ended


def test_kinds_are_told_apart_and_share_their_names(regions: ClientRegions) -> None:
    cuda(regions)
    for use, text in (
        (
            lambda: regions.status("c"),
            "The region named 'c' is registered as CUDA shared memory, not system shared memory",
        ),
        (
            lambda: regions.cuda_status("r"),
            "The region named 'r' is registered as system shared memory, not CUDA shared memory",
        ),
        (lambda: regions.cuda_status("x"), "Unable to find cuda shared memory region: 'x'"),
        (lambda: regions.status("x"), "Unable to find system shared memory region: 'x'"),
        (lambda: regions.register("c", KEY, 0, 4), "shared memory region 'c' already in manager"),
        (lambda: asyncio.run(regions.register_cuda("r", H, 0, 4)), "shared memory region 'r' already in manager"),
    ):
        with pytest.raises(PyServeError) as refusal:
            use()
        assert refusal.value.message == text


@pytest.mark.parametrize(
    ("name", "handle", "device", "works"),
    [("c", H[:63], 0, True), ("c", H, -1, True), ("c", H, 1 << 31, True), ("c" * 1025, H, 0, True), ("c", H, 0, False)],
)
def test_what_cannot_be_opened(regions: ClientRegions, name: str, handle: bytes, device: int, works: bool) -> None:
    regions.devices = FakeDevices(works=works)
    with pytest.raises(PyServeError) as refusal:
        asyncio.run(regions.register_cuda(name, handle, device, 4))
    assert refusal.value.code is Code.INVALID_ARG
    assert refusal.value.message == "failed to register shared memory region: invalid args"
    assert regions.cuda_status() == []


def test_a_name_is_taken_while_its_region_is_opened(regions: ClientRegions) -> None:
    async def both() -> None:
        opening = asyncio.ensure_future(regions.register_cuda("c", H, 0, 4))
        await asyncio.sleep(0)
        with pytest.raises(PyServeError, match="already in manager"):
            regions.register("c", KEY, 0, 4)
        await opening

    asyncio.run(both())
    assert [row["name"] for row in regions.cuda_status()] == ["c"]


def test_a_device_region_in_use_goes_when_it_is_used_no_more(regions: ClientRegions) -> None:
    devices = cuda(regions)
    asyncio.run(regions.register_cuda("d", H, 0, 4))
    region, _ = regions.locate(ShmRef(region="c", offset=0, nbytes=1))
    region.pin()
    with pytest.raises(PyServeError, match=r"Failed to unregister the following cuda shared memory regions: c$"):
        asyncio.run(regions.unregister_cuda())
    assert devices.closed == ["d"]
    region.unpin()
    assert devices.closed == ["d", "c"]
    assert region.closed


def test_a_region_that_took_a_forgotten_ones_name_stays(regions: ClientRegions) -> None:
    region, _ = regions.locate(ShmRef(region="r", offset=0, nbytes=1))
    region.pin()
    with pytest.raises(PyServeError, match="currently in use"):
        regions.unregister("r")
    region.unpin()
    regions.register("r", KEY, 0, 4)
    region.pin()
    region.unpin()
    assert [row["byte_size"] for row in regions.status()] == [4]
