"""Devices that only note what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion
from jupyter_pyserve.engine.memory.regions import Done


class _Nothing:
    """Nobody has to wait for it."""

    def __await__(self) -> Iterator[None]:
        return iter(())


class FakeDevices:
    """Copies are made when a test calls what is in `copies`."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.copies: list[tuple[str, str, int, int, tuple[Segment, int], Done]] = []
        self.ended = False

    async def open(self, region: CudaRegion) -> bool:
        await asyncio.sleep(0)
        self.opened.append(region.name)
        return self.works

    def close(self, region: CudaRegion) -> Any:
        self.closed.append(region.name)
        return _Nothing()

    def end(self) -> None:
        self.ended = True

    def fetch(self, region: CudaRegion, at: int, nbytes: int, to: tuple[Segment, int], done: Done) -> None:
        self.copies.append(("fetch", region.name, at, nbytes, to, done))

    def store(self, region: CudaRegion, at: int, nbytes: int, source: tuple[Segment, int], done: Done) -> None:
        self.copies.append(("store", region.name, at, nbytes, source, done))
