from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.debugging.attach import Debuggers
from jupyter_pyserve.engine.repository.registry import Registry
from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault
from jupyter_pyserve.engine.versions.launcher import LoadFailure
from jupyter_pyserve.engine.versions.servable import Servable
from jupyter_pyserve.errors import Code, PyServeError


class Instance:
    """A stub that answers with a port, an error, or not at all."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.debug_port = 0
        self.executing_since_ns = 0
        self.asked: list[dict[str, Any]] = []
        self.answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append({"op": op, **arguments})
        return await self.answer


class Version(Servable):
    """As much of a model version as matters here."""

    def __init__(self, *instances: Instance) -> None:
        self.name = "m"
        self.version = 1
        self.model_file = "/models/m/1/model.py"
        self.instances = cast(Any, list(instances))
        self.looked: list[list[int]] = []
        self.renewed: list[str] = []
        self.failure: LoadFailure | None = None

    def look_at_debuggers(self) -> None:
        self.looked.append([item.debug_port for item in self.instances])

    async def renew(self, instance: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.renewed.append(instance.name)


class Bench:
    def __init__(self, patience_s: float = 10.0) -> None:
        self.first, self.second = Instance("m_0_0"), Instance("m_0_1")
        self.version = Version(self.first, self.second)
        entry = SimpleNamespace(held=lambda: [(1, self.version)])
        registry = cast(Registry, SimpleNamespace(entries={"m": entry}))
        self.debuggers = Debuggers(registry, patience_s)

    async def refused(self, *words: Any) -> PyServeError:
        with pytest.raises(PyServeError) as caught:
            await self.debuggers.attach(*words)
        return caught.value


def test_a_port_is_opened_once_and_timeouts_stand_still() -> None:
    async def main() -> None:
        bench = Bench()
        bench.second.answer.set_result({"port": 4711})
        sources = [{"path": "/tmp/cell.py", "line": 2, "count": 9, "model_line": 1}]
        opened = await bench.debuggers.attach("m", "m_0_1", 0, sources)
        model_file = bench.version.model_file
        assert opened == {"host": "127.0.0.1", "port": 4711, "instance": "m_0_1", "model_file": model_file}
        assert bench.second.asked == [{"op": "debug", "port": 0, "sources": [{**sources[0], "file": model_file}]}]
        assert bench.version.looked == [[0, 4711]]
        assert await bench.debuggers.attach("m", "m_0_1") == opened
        assert len(bench.second.asked) == 1
        assert bench.first.asked == []

    asyncio.run(main())


def test_a_busy_instance_opens_its_port_later() -> None:
    async def main() -> None:
        bench = Bench(patience_s=0.0)
        error = await bench.refused("m", "m_0_0")
        assert error.code is Code.UNAVAILABLE
        assert "%pyserve stack m" in error.message
        bench.first.answer.set_result({"port": 4711})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (await bench.debuggers.attach("m", "m_0_0"))["port"] == 4711
        assert len(bench.first.asked) == 1

    asyncio.run(main())


def test_nobody_is_told_of_a_failure_that_nobody_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        bench = Bench(patience_s=0.0)
        await bench.refused("m", "m_0_0")
        bench.first.answer.set_exception(StubDied())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()  # which is when asyncio complains

    asyncio.run(main())
    assert caplog.messages == []


def test_what_a_stub_cannot_do_is_said() -> None:
    async def main() -> None:
        bench = Bench()
        bench.first.answer.set_exception(StubFault({"text": "debugpy cannot be imported by /env/bin/python"}))
        error = await bench.refused("m", "m_0_0")
        assert (error.code, error.message) == (Code.UNSUPPORTED, "debugpy cannot be imported by /env/bin/python")
        bench.second.answer.set_exception(StubDied())
        error = await bench.refused("m", "m_0_1")
        assert (error.code, error.message) == (Code.UNAVAILABLE, "Stub process 'm_0_1' is not healthy.")
        assert bench.version.looked == []

    asyncio.run(main())


def test_an_instance_that_was_debugged_is_renewed() -> None:
    async def main() -> None:
        bench = Bench()
        await bench.debuggers.detach("m", "m_0_0")
        assert bench.version.renewed == []
        bench.first.debug_port = 4711
        await bench.debuggers.detach("m", "m_0_0")
        assert bench.version.renewed == ["m_0_0"]
        assert bench.version.looked == [[0, 0]]
        bench.second.debug_port, bench.version.failure = 4712, LoadFailure("no luck")
        with pytest.raises(PyServeError, match="restart failed for model 'm': no luck"):
            await bench.debuggers.detach("m", "m_0_1")

    asyncio.run(main())


def test_unknown_names() -> None:
    async def main() -> None:
        bench = Bench()
        error = await bench.refused("m", "m_9")
        assert error.message == "model 'm' has no instance 'm_9' (there are: m_0_0, m_0_1)"
        assert (await bench.refused("x", "m_0_0")).code is Code.NOT_FOUND

    asyncio.run(main())
