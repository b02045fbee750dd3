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
from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.signature import Signature


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

    def memory_full(self, nbytes: int) -> MemoryFull:
        return MemoryFull(f"no room for {nbytes} bytes", for_good=nbytes > 1 << 20)

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


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        ("data_type: TYPE_FP32 dims: 1099511627776 zero_data: true", "no room for 4398046511104 bytes"),
        ("data_type: TYPE_FP32 dims: [ 4294967296, 4294967296 ] random_data: true", "no room for 7378697629483820646"),
        ("data_type: TYPE_STRING dims: 1099511627776 zero_data: true", "no room for 4398046511104 bytes"),
        ("dims: 1 zero_data: true", "inference input 'I' data-type is '<invalid>', but model 'm' expects 'FP32'"),
    ],
)
def test_a_sample_that_no_request_could_be_is_not_made(tensor: str, text: str) -> None:
    warmup = f'model_warmup {{ name: "w" batch_size: 1 inputs {{ key: "I" value {{ {tensor} }} }} }}'
    given = f'input {{ name: "I" data_type: TYPE_FP32 dims: -1 }} {warmup}'
    version: Any = FakeVersion(room=0)
    version.config = parse_pbtxt(given, model_name="m", path="p")
    version.signature = Signature.from_config(version.config)
    with pytest.raises(LoadFailure, match=text):
        asyncio.run(WarmUp(version, "", lambda job: None).run(FakeInstance(alive=True)))  # type: ignore[arg-type]
    version.arena.close()
