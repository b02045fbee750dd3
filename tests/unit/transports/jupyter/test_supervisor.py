"""The supervisor over a scripted process: no child, no waiting, each way an engine can end."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_pyserve.transports.jupyter.output import Ready
from jupyter_pyserve.transports.jupyter.process import EngineCommand, EngineDeathError
from jupyter_pyserve.transports.jupyter.runtime import RuntimeDir
from jupyter_pyserve.transports.jupyter.states import EngineState, RestartPolicy
from jupyter_pyserve.transports.jupyter.supervisor import (
    EngineSpec,
    EngineSupervisor,
    EngineUnavailableError,
    MissingEngine,
)

LOG = logging.getLogger(__name__)
AT_ONCE = RestartPolicy(max_early_deaths=2, first_delay_s=0.0, longest_delay_s=0.0, forgive_after_s=1e9)


class ScriptedProcess:
    """An engine that becomes ready when told to, and ends when told to."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        loop = asyncio.get_running_loop()
        self.became_ready: asyncio.Future[Ready] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        self.stops: list[float] = []

    async def ready(self, timeout_s: float) -> Ready:
        return await self.became_ready

    async def wait(self) -> int:
        return await asyncio.shield(self.exited)

    async def stop(self, timeout_s: float) -> None:
        self.stops.append(timeout_s)

    def obituary(self) -> str:
        return f"engine {self.pid} died"


class Launcher:
    """Makes scripted processes and counts them."""

    def __init__(self, *, dies: bool = False, comes_up: bool = True) -> None:
        self.processes: list[ScriptedProcess] = []
        self.launched = asyncio.Event()
        self._dies = dies
        self._comes_up = comes_up

    async def __call__(self, command: EngineCommand, log: logging.Logger) -> ScriptedProcess:
        process = ScriptedProcess(len(self.processes) + 1)
        self.processes.append(process)
        self.launched.set()
        if self._dies:
            process.became_ready.set_exception(EngineDeathError("it has no model repository"))
        elif self._comes_up:
            process.became_ready.set_result(Ready(pid=process.pid, http_url=None))
        return process


@pytest.fixture
def runtime() -> Iterator[RuntimeDir]:
    with tempfile.TemporaryDirectory(prefix="ps") as parent:
        directory = RuntimeDir.create([Path(parent)])
        yield directory
        directory.remove()


def supervise(runtime: RuntimeDir, launcher: Launcher, policy: RestartPolicy = AT_ONCE) -> EngineSupervisor:
    spec = EngineSpec(command=EngineCommand(argv=(), environment={}), exit_timeout_s=7.0, policy=policy)
    return EngineSupervisor(spec, runtime, LOG, launch=launcher)


async def reached(supervisor: EngineSupervisor, state: EngineState) -> None:
    while supervisor.state is not state:
        await supervisor._changed.wait()


async def test_the_first_request_starts_it_and_the_next_ones_use_it(runtime: RuntimeDir) -> None:
    launcher = Launcher()
    supervisor = supervise(runtime, launcher)
    assert supervisor.state is EngineState.IDLE
    addresses = await asyncio.gather(*(supervisor.ready() for _ in range(3)))
    assert set(addresses) == {runtime.address}
    assert len(launcher.processes) == 1
    assert supervisor.pid == 1
    await supervisor.stop()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET])
async def test_the_first_connection_starts_it(runtime: RuntimeDir, kind: socket.SocketKind) -> None:
    launcher = Launcher()
    supervisor = supervise(runtime, launcher)
    supervisor.listen()
    listener = runtime.http if kind is socket.SOCK_STREAM else runtime.lane
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(listener.getsockname())
        await reached(supervisor, EngineState.RUNNING)
        # The connection is the engine's to accept.
        listener.accept()[0].close()
    await supervisor.stop()


async def test_it_is_started_again_when_it_dies(runtime: RuntimeDir) -> None:
    launcher = Launcher()
    supervisor = supervise(runtime, launcher)
    await supervisor.ready()
    launcher.processes[0].exited.set_result(-9)
    await reached(supervisor, EngineState.BACKOFF)
    assert await supervisor.ready() == runtime.address
    assert [process.stops for process in launcher.processes] == [[0], []]
    await supervisor.stop()


async def test_it_is_given_up_with_a_reason(runtime: RuntimeDir) -> None:
    launcher = Launcher(dies=True)
    supervisor = supervise(runtime, launcher)
    with pytest.raises(EngineUnavailableError, match=r"died 3 times .* last, it has no model repository"):
        await supervisor.ready()
    assert supervisor.state is EngineState.FAILED
    with pytest.raises(EngineUnavailableError, match="it has no model repository"):
        await supervisor.ready()
    assert len(launcher.processes) == 3
    await supervisor.stop()


async def test_a_given_up_engine_gets_a_new_chance_later(runtime: RuntimeDir) -> None:
    launcher = Launcher(dies=True)
    forgiving = RestartPolicy(max_early_deaths=0, forgive_after_s=0.0)
    supervisor = supervise(runtime, launcher, forgiving)
    for count in (1, 2):
        with pytest.raises(EngineUnavailableError):
            await supervisor.ready()
        assert len(launcher.processes) == count
    await supervisor.stop()


async def test_whoever_waits_in_the_backlog_of_a_given_up_engine_is_told(runtime: RuntimeDir) -> None:
    supervisor = supervise(runtime, Launcher(dies=True))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as http, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as lane:
        for client, listener in ((http, runtime.http), (lane, runtime.lane)):
            client.connect(listener.getsockname())
            client.setblocking(False)
        supervisor.listen()
        head, _, body = (await loop.sock_recv(http, 65536)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert "it has no model repository" in json.loads(body)["error"]
        assert await loop.sock_recv(lane, 65536) == b""
    await supervisor.stop()


async def test_a_peaceful_exit_waits_for_the_next_demand(runtime: RuntimeDir) -> None:
    launcher = Launcher()
    supervisor = supervise(runtime, launcher)
    await supervisor.ready()
    launcher.processes[0].exited.set_result(0)
    await reached(supervisor, EngineState.IDLE)
    assert supervisor.pid is None
    assert await supervisor.ready() == runtime.address
    assert len(launcher.processes) == 2
    await supervisor.stop()


async def test_stopping_gives_the_engine_its_time_and_removes_everything(runtime: RuntimeDir) -> None:
    launcher = Launcher()
    supervisor = supervise(runtime, launcher)
    await supervisor.ready()
    await asyncio.gather(supervisor.stop(), supervisor.stop())
    assert supervisor.state is EngineState.STOPPED
    assert launcher.processes[0].stops == [7.0]
    assert not runtime.path.exists()
    with pytest.raises(EngineUnavailableError, match="it is stopped"):
        await supervisor.ready()
    await supervisor.stop()


async def test_stopping_while_it_starts(runtime: RuntimeDir) -> None:
    launcher = Launcher(comes_up=False)
    supervisor = supervise(runtime, launcher)
    waiting = asyncio.ensure_future(supervisor.ready())
    await reached(supervisor, EngineState.STARTING)
    await launcher.launched.wait()
    await supervisor.stop()
    with pytest.raises(EngineUnavailableError, match="it is stopped"):
        await waiting
    assert launcher.processes[0].stops == [7.0]


async def test_stopping_what_never_ran(runtime: RuntimeDir) -> None:
    supervisor = supervise(runtime, Launcher())
    supervisor.listen()
    await supervisor.stop()
    assert supervisor.state is EngineState.STOPPED
    assert not runtime.path.exists()


async def test_stopping_while_it_backs_off(runtime: RuntimeDir) -> None:
    launcher = Launcher(dies=True)
    patient = RestartPolicy(max_early_deaths=9, first_delay_s=1e6, longest_delay_s=1e6)
    supervisor = supervise(runtime, launcher, patient)
    waiting = asyncio.ensure_future(supervisor.ready())
    await reached(supervisor, EngineState.BACKOFF)
    await supervisor.stop()
    with pytest.raises(EngineUnavailableError):
        await waiting
    assert len(launcher.processes) == 1


async def test_a_missing_engine_says_why() -> None:
    engine = MissingEngine("no such platform")
    engine.listen()
    with pytest.raises(EngineUnavailableError, match="no such platform"):
        await engine.ready()
    await engine.stop()
