from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.launcher import Launcher
from jupyter_pyserve.engine.versions.supervisor import Supervisor
from jupyter_pyserve.model.lifecycle import StubState
from jupyter_pyserve.model.naming import InstanceSpec
from tests.support.turning import until


class FakeAdmission:
    open = True


class FakeInstance:
    """A process that is there, or has died."""

    def __init__(self, spec: InstanceSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.alive = True
        self.busy = False
        self.pid = 1
        self.requests = self.failures = 0
        self.tally = None
        self.admission = FakeAdmission()
        self.stopped = False

    @property
    def state(self) -> StubState:
        return StubState.READY if self.alive else StubState.FAILED

    def attach(self, segments: Any) -> None:
        pass

    def report(self, text: str) -> None:
        pass

    async def epitaph(self) -> str:
        return "ended"

    async def idle(self) -> None:
        pass

    async def stop(self, timeout_s: float) -> None:
        self.stopped = True


class FakeLauncher:
    """Starts instances; those whose number is in `short_lived` die between being ready and being heard of."""

    def __init__(self, short_lived: set[int]) -> None:
        self.started: list[FakeInstance] = []
        self._short_lived = short_lived

    def new_instance(self, spec: InstanceSpec) -> FakeInstance:
        self.started.append(FakeInstance(spec))
        return self.started[-1]

    async def bring_up(self, instance: FakeInstance, arena: Any) -> None:
        if self.started.index(instance) in self._short_lived:
            instance.alive = False


SPECS = [InstanceSpec(name=f"m_0_{number}", group="m", kind="CPU", device_id=0) for number in range(2)]

Check = Callable[[Supervisor, "list[FakeInstance]", FakeLauncher], Any]


def supervised(check: Check, short_lived: set[int]) -> None:
    async def run() -> None:
        launcher = FakeLauncher(short_lived)
        instances = [FakeInstance(SPECS[0])]
        supervisor = Supervisor(
            cast("Launcher", launcher),
            cast("list[Instance]", instances),
            tuple,
            lambda: None,
            lambda text: None,
        )
        await check(supervisor, instances, launcher)
        await supervisor.stop(1.0)

    asyncio.run(run())


def test_a_new_instance_that_has_died_by_the_time_it_is_heard_of_is_started_again() -> None:
    async def check(supervisor: Supervisor, instances: list[FakeInstance], launcher: FakeLauncher) -> None:
        await supervisor.renew(cast("Instance", instances[0]), 1.0)
        await until(lambda: len(launcher.started) == 2 and instances == [launcher.started[1]])
        assert instances[0].alive
        assert supervisor.restarts == {"m_0_0": 1}

    supervised(check, short_lived={0})


def test_so_is_one_of_those_that_a_model_gets_besides() -> None:
    async def check(supervisor: Supervisor, instances: list[FakeInstance], launcher: FakeLauncher) -> None:
        await supervisor.resize(SPECS, lambda instance: None, 1.0)
        await until(lambda: all(item.alive for item in instances))
        assert [item.name for item in instances] == ["m_0_0", "m_0_1"]

    supervised(check, short_lived={0})


def test_one_that_died_and_has_a_successor_is_left_alone() -> None:
    async def check(supervisor: Supervisor, instances: list[FakeInstance], launcher: FakeLauncher) -> None:
        former = instances[0]
        await supervisor.renew(cast("Instance", former), 1.0)
        await until(lambda: former.stopped)
        former.alive = False
        supervisor.died(cast("Instance", former))
        await asyncio.sleep(0)
        assert instances == launcher.started
        assert len(launcher.started) == 1

    supervised(check, short_lived=set())
