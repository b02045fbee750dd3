"""The engine's courier over the real other end, which runs in a thread and has a driver that is bytes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from pyserve_stub import courier as other_end
from pyserve_stub import cuda

from jupyter_pyserve.engine.devices import courier as subject
from jupyter_pyserve.engine.devices.courier import Courier, launch
from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion
from tests.support.gpu import Gpu

DATA = b"0123456789"


class Ends:
    """Starts other ends; each one's process is one that does nothing."""

    def __init__(self) -> None:
        self.gpu = Gpu()
        self.threads: list[threading.Thread] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, process = self.start_late()
        self.threads[-1].start()
        return ours, process

    def start_late(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        """Does nothing until its thread is started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def run() -> None:
            with theirs:
                other_end.serve(theirs, other_end.Courier(lambda: cuda.Driver(self.gpu)))

        self.threads.append(threading.Thread(target=run))
        self.processes.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        return ours, self.processes[-1]

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        for process in self.processes:
            assert process.wait(10) is not None
            assert process.stdin is not None
            process.stdin.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    found = Ends()
    yield found
    found.join()


@pytest.fixture
def host() -> Iterator[Segment]:
    made = Segment(4096, "test")
    yield made
    made.close()


def run(courier: Courier, work: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        try:
            await asyncio.wait_for(work, 10)
        finally:
            courier.end()

    asyncio.run(main())


async def turns() -> None:
    """Let timers act that are due at once."""
    for _ in range(3):
        await asyncio.sleep(0)


def region(handle: bytes, nbytes: int = 10) -> CudaRegion:
    return CudaRegion("r", handle, 0, nbytes)


async def copied(copy: Any, *arguments: Any) -> str | None:
    done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    copy(*arguments, done.set_result)
    return await done


def test_copies_both_ways(ends: Ends, host: Segment) -> None:
    courier, handle = Courier(ends.start), ends.gpu.allocate(DATA)

    async def work() -> None:
        place = region(handle)
        assert await courier.open(place)
        assert courier.pid == ends.processes[0].pid
        assert await copied(courier.fetch, place, 2, 5, (host, 64)) is None
        assert bytes(host.read(64, 5)) == b"23456"
        host.view[:3] = b"abc"
        assert await copied(courier.store, place, 7, 3, (host, 0)) is None
        assert ends.gpu.content(handle) == b"0123456abc"
        await courier.close(place)
        assert ends.gpu.opened == []
        await courier.close(place)

    run(courier, work())


def test_what_cannot_be_opened(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    courier = Courier(ends.start)

    async def work() -> None:
        with caplog.at_level(logging.ERROR):
            assert not await courier.open(region(ends.gpu.allocate(DATA), 11))
        assert "a region of 11 bytes in an allocation that has 10" in caplog.text
        assert courier.pid is None

    run(courier, work())


def test_it_stays_for_a_while_when_no_region_is_left(ends: Ends) -> None:
    courier = Courier(ends.start)

    async def work() -> None:
        for _ in range(2):
            place = region(ends.gpu.allocate(DATA))
            assert await courier.open(place)
            await courier.close(place)
        assert courier.pid == ends.processes[0].pid

    run(courier, work())


def test_it_goes_when_it_was_not_needed_for_a_while(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    courier = Courier(ends.start)
    monkeypatch.setattr(subject, "_LINGER_S", 0.0)

    async def work() -> None:
        first, second = (region(ends.gpu.allocate(DATA)) for _ in range(2))
        assert await courier.open(first)
        courier.close(first)
        assert await courier.open(second)  # before the timer, which then finds that it is needed
        await turns()
        assert courier.pid == ends.processes[0].pid
        courier.close(second)
        await turns()
        assert courier.pid is None

    run(courier, work())


def test_a_successor_opens_what_is_used(ends: Ends, host: Segment) -> None:
    courier, handle = Courier(ends.start), ends.gpu.allocate(DATA)

    async def work() -> None:
        place = region(handle)
        assert await courier.open(place)
        ends.gpu.failing = "cuMemcpyDtoH_v2"
        failed = await asyncio.gather(*(copied(courier.fetch, place, 0, 4, (host, 0)) for _ in range(2)))
        assert failed[0] == "Failed to copy a tensor from CUDA device with id 0"
        assert failed[1] == "the process that copies device memory ended"
        ends.gpu.failing = ""
        assert await copied(courier.fetch, place, 0, 4, (host, 0)) is None
        assert bytes(host.read(0, 4)) == b"0123"
        assert len(ends.processes) == 2

    run(courier, work())


def test_a_successor_that_cannot_open_it_says_so(ends: Ends, host: Segment, caplog: pytest.LogCaptureFixture) -> None:
    courier, handle = Courier(ends.start), ends.gpu.allocate(DATA)

    async def work() -> None:
        place = region(handle)
        assert await courier.open(place)
        courier.end()
        ends.gpu.allocations.clear()
        with caplog.at_level(logging.ERROR):
            assert await copied(courier.fetch, place, 0, 4, (host, 0)) == "the region is not open"
        assert "failed to open CUDA IPC handle" in caplog.text

    run(courier, work())


def test_host_memory_that_is_gone(ends: Ends, host: Segment) -> None:
    courier = Courier(ends.start)

    async def work() -> None:
        host.close()
        failure = await copied(courier.fetch, region(bytes(64)), 0, 4, (host, 0))
        assert failure == "the memory of a tensor is not there"
        assert courier.pid is None

    run(courier, work())


def test_a_process_that_cannot_be_started() -> None:
    def start() -> Any:
        raise OSError("no more processes")

    courier = Courier(start)

    async def work() -> None:
        assert not await courier.open(region(bytes(64)))

    run(courier, work())


def test_a_start_that_failed_is_made_up_for(ends: Ends, host: Segment, caplog: pytest.LogCaptureFixture) -> None:
    full = False

    def start() -> Any:
        if full:
            raise OSError("no more processes")
        return ends.start()

    courier = Courier(start)

    async def work() -> None:
        nonlocal full
        place = region(ends.gpu.allocate(DATA))
        assert await courier.open(place)
        courier.end()
        full = True
        assert "no more processes" in str(await copied(courier.fetch, place, 0, 4, (host, 0)))
        full = False
        assert await copied(courier.fetch, place, 0, 4, (host, 0)) is None

    run(courier, work())


def test_copies_that_wait_take_no_descriptors(ends: Ends, host: Segment) -> None:
    courier, failures = Courier(ends.start_late), list[str | None]()

    async def work() -> None:
        place = region(ends.gpu.allocate(DATA))
        opening = asyncio.ensure_future(courier.open(place))
        await asyncio.sleep(0)
        before = len(os.listdir("/proc/self/fd"))
        last = [asyncio.ensure_future(copied(courier.fetch, place, 1, 4, (host, 64))) for _ in range(1000)]
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before
        host.close()  # its owner is done with it, and those that wait are not
        ends.threads[0].start()
        assert await opening
        failures.extend(await asyncio.gather(*last))
        assert host.closed

    run(courier, work())
    assert failures == [None] * 1000


def test_copies_that_wait_end_with_the_process(ends: Ends, host: Segment) -> None:
    courier = Courier(ends.start_late)

    async def work() -> None:
        place = region(ends.gpu.allocate(DATA))
        opening = asyncio.ensure_future(courier.open(place))
        copies = [asyncio.ensure_future(copied(courier.fetch, place, 1, 4, (host, 64))) for _ in range(100)]
        await asyncio.sleep(0)
        courier.end()
        ends.threads[0].start()
        assert set(await asyncio.gather(*copies)) == {"the process that copies device memory ended"}
        assert not await opening
        host.close()
        assert host.closed

    run(courier, work())


def test_a_real_process_without_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"this is none")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    courier = Courier(launch)

    async def work() -> None:
        assert not await courier.open(region(bytes(64)))
        assert courier.pid is None

    run(courier, work())
