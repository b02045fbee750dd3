"""The engine behind a Jupyter server: started on demand, restarted, given up, stopped, announced to children."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve.transports.jupyter import environment
from jupyter_pyserve.transports.jupyter.extension import PyServeExtension
from jupyter_pyserve.transports.jupyter.states import EngineState
from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor, MissingEngine
from tests.jupyter.client import Client
from tests.jupyter.server_process import is_gone


async def reached(engine: EngineSupervisor, state: EngineState) -> None:
    while engine.state is not state:
        await engine._changed.wait()


def starts(engine: EngineSupervisor) -> int:
    return len((engine._runtime.path / "starts").read_text().splitlines())


async def test_nothing_runs_until_it_is_asked_for(engine: EngineSupervisor, jp_serverapp: Any) -> None:
    await jp_serverapp.extension_manager.start_all_extensions()
    assert engine.state is EngineState.IDLE
    assert sorted(path.name for path in engine._runtime.path.iterdir()) == ["http.sock", "lane.sock", "lock"]
    assert stat.S_IMODE(engine._runtime.path.stat().st_mode) == 0o700


async def test_the_first_connection_to_the_socket_starts_it(engine: EngineSupervisor, jp_serverapp: Any) -> None:
    await jp_serverapp.extension_manager.start_all_extensions()
    reader, writer = await asyncio.open_unix_connection(engine._runtime.address)
    writer.write(b"GET /v2 HTTP/1.1\r\n\r\n")
    # Sent before there was an engine, answered by it.
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await reached(engine, EngineState.RUNNING)


async def test_who_only_looks_starts_nothing(client: Client, engine: EngineSupervisor) -> None:
    answer = await client.send("GET", "/pyserve/api/status?if_running=1")
    assert (answer.status, answer.json()) == (503, {"error": "the inference engine is not running"})
    assert engine.state is EngineState.IDLE
    await client.send("GET", "/pyserve/v2")
    assert (await client.send("GET", "/pyserve/v2?if_running=1")).json()["pid"] == engine.pid


async def test_concurrent_first_requests_start_one(client: Client, engine: EngineSupervisor) -> None:
    answers = await asyncio.gather(*(client.send("GET", "/pyserve/v2") for _ in range(8)))
    assert {answer.json()["pid"] for answer in answers} == {engine.pid}
    assert starts(engine) == 1


async def test_the_repository_and_the_environment(
    client: Client, engine: EngineSupervisor, jp_serverapp: Any, jp_root_dir: Path, jp_base_url: str
) -> None:
    await jp_serverapp.extension_manager.start_all_extensions()
    assert os.environ["PYSERVE_RUNTIME_DIR"] == str(engine._runtime.path)
    assert os.environ["PYSERVE_TOKEN"] == jp_serverapp.identity_provider.token
    assert os.environ["PYSERVE_URL"] == f"http://localhost:{client.port}{jp_base_url}pyserve"
    assert not (jp_root_dir / "model_repository").exists()
    assert (await client.send("GET", "/pyserve/v2")).status == 200
    assert (jp_root_dir / "model_repository").is_dir()


async def test_a_crash_fails_the_request_and_the_next_one_is_served(client: Client, engine: EngineSupervisor) -> None:
    first = (await client.send("GET", "/pyserve/v2")).json()["pid"]
    crashed = await client.send("POST", "/pyserve/v2/crash", body=b"{}")
    assert crashed.status == 502
    assert set(crashed.json()) == {"error"}
    await reached(engine, EngineState.BACKOFF)
    second = (await client.send("GET", "/pyserve/v2")).json()["pid"]
    assert second not in {first, None}
    assert second == engine.pid


async def test_clients_of_the_socket_wait_while_it_restarts(client: Client, engine: EngineSupervisor) -> None:
    await client.send("GET", "/pyserve/v2")
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    await reached(engine, EngineState.BACKOFF)
    reader, writer = await asyncio.open_unix_connection(engine._runtime.address)
    writer.write(b"GET /v2 HTTP/1.1\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_stopping_leaves_no_process_file_or_variable(
    client: Client, engine: EngineSupervisor, extension: PyServeExtension
) -> None:
    pid = (await client.send("GET", "/pyserve/v2")).json()["pid"]
    path = engine._runtime.path
    await extension.stop_extension()
    assert is_gone(pid)
    assert not os.path.exists(path)  # noqa: ASYNC240
    assert not {name for name in os.environ if name.startswith("PYSERVE_")}
    answer = await client.send("GET", "/pyserve/v2")
    assert (answer.status, answer.json()) == (503, {"error": "the inference engine is not available: it is stopped"})


async def test_the_servers_own_clean_up_stops_it(client: Client, engine: EngineSupervisor, jp_serverapp: Any) -> None:
    pid = (await client.send("GET", "/pyserve/v2")).json()["pid"]
    await jp_serverapp.cleanup_extensions()
    assert is_gone(pid)
    assert engine.state is EngineState.STOPPED


class TestInsideAnotherServersTerminal:
    @pytest.fixture
    def pyserve_traits(self, pyserve_traits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        for name in environment.NAMES:
            monkeypatch.setenv(name, "the other server's")
        return pyserve_traits

    async def test_its_engine_is_not_mistaken_for_ours(self, extension: PyServeExtension) -> None:
        assert all(os.environ[name] != "the other server's" for name in environment.NAMES)
        await extension.stop_extension()
        assert all(os.environ[name] == "the other server's" for name in environment.NAMES)


class TestAnEngineThatCannotStart:
    @pytest.fixture
    def pyserve_traits(self, pyserve_traits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv("FAKE_ENGINE", '{"exit_at_start": 5}')
        return {**pyserve_traits, "max_early_deaths": 1}

    async def test_requests_are_told_why(self, client: Client, engine: EngineSupervisor) -> None:
        for body in (b"{}", b"x" * (4 << 20)):
            answer = await client.send("POST", "/pyserve/v2/models/m/infer", body=body)
            assert (answer.status, answer.reason) == (503, "Service Unavailable")
            assert answer.all("Content-Type") == ["application/json"]
            error = answer.json()["error"]
            assert "exited with status 5" in error
            assert "cannot start: no reason at all" in error
        assert engine.state is EngineState.FAILED
        assert starts(engine) == 2


class TestAnEngineThatDoesNotListen:
    @pytest.fixture
    def pyserve_traits(self, pyserve_traits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        monkeypatch.setenv("FAKE_ENGINE", '{"ignore_term": true}')
        monkeypatch.setattr("jupyter_pyserve.transports.jupyter.config.EXIT_GRACE_S", 0.0)
        return {**pyserve_traits, "exit_timeout_s": 0.05}

    async def test_it_is_killed(self, client: Client, engine: EngineSupervisor) -> None:
        pid = (await client.send("GET", "/pyserve/v2")).json()["pid"]
        await engine.stop()
        assert is_gone(pid)


class TestNoPlaceForSockets:
    @pytest.fixture
    def pyserve_traits(self, pyserve_traits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        def refuse(*_: object) -> socket.socket:
            raise OSError(93, "Protocol not supported")

        monkeypatch.setattr("jupyter_pyserve.transports.jupyter.runtime._listen", refuse)
        return pyserve_traits

    async def test_jupyter_runs_and_the_engine_says_what_is_missing(
        self, client: Client, extension: PyServeExtension, jp_serverapp: Any
    ) -> None:
        await jp_serverapp.extension_manager.start_all_extensions()
        assert isinstance(extension.engine, MissingEngine)
        answer = await client.send("GET", "/pyserve/v2")
        assert answer.status == 503
        assert "Protocol not supported" in answer.json()["error"]
        assert (await client.send("GET", "/api/status")).status == 200
