from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_pyserve.engine.memory.arena import Arena
from jupyter_pyserve.engine.stubs.faults import StubDied
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.engine.versions.warmup import WarmUp


class FakeVersion:
    """A model version with room for so many requests."""

    name = "m"

    def __init__(self, room: int) -> None:
        self.arena = Arena("test", 1 << 20, lambda segment: None)
        self._room = room
        self.jobs: list[Any] = []
        self.finished = 0

    def new_job(self, nbytes: int, sink: Any) -> tuple[Any, int, int]:
        if len(self.jobs) == self._room:
            raise MemoryFull("no room", for_good=False)
        block = self.arena.allocate(64)
        assert block is not None
        self.jobs.append(SimpleNamespace(finish=self._finish))
        return self.jobs[-1], block.segment, block.offset

    def _finish(self) -> None:
        self.finished += 1


SAMPLE: Any = SimpleNamespace(warmup=SimpleNamespace(name="w", batch_size=3), plan=None, contents=[b"abcd"])


class FakeInstance:
    name = "m_0_0"

    def __init__(self, *, alive: bool) -> None:
        self._alive = alive

    def require_alive(self) -> None:
        if not self._alive:
            raise StubDied


def warm_up(version: Any, instance: Any) -> None:
    asyncio.run(WarmUp(version, "", lambda job: None)._execute(instance, SAMPLE))


def test_requests_that_found_room_give_it_back_when_others_find_none() -> None:
    version = FakeVersion(room=2)
    with pytest.raises(LoadFailure, match="no room"):
        warm_up(version, FakeInstance(alive=True))
    assert (len(version.jobs), version.finished) == (2, 2)
    version.arena.close()


def test_a_process_that_has_ended_is_given_nothing() -> None:
    version = FakeVersion(room=3)
    with pytest.raises(StubDied):
        warm_up(version, FakeInstance(alive=False))
    assert not version.jobs
    version.arena.close()
