from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.logs import LogBook, LogRecord
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http import control
from jupyter_pyserve.transports.http.replies import Reply, Stream


class Service:
    """Remembers what it was asked to do."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.logs = LogBook(None)
        for number in range(3):
            self.logs.add(
                LogRecord(
                    time=float(number),
                    model="m" if number else "other",
                    version="1",
                    instance=f"m_0_{number}",
                    pid=1,
                    stream="stdout",
                    level="INFO",
                    text=str(number),
                )
            )

    def status(self) -> dict[str, Any]:
        return {"engine": {}}

    async def deploy(self, *arguments: Any) -> AsyncIterator[dict[str, Any]]:
        self.done.append(arguments)
        yield {"event": "progress"}
        yield {"event": "ready"}

    async def undeploy(self, name: str, *, delete: bool, force: bool) -> None:
        self.done.append(("undeploy", name, delete, force))

    async def restart(self, name: str, *, force: bool) -> None:
        self.done.append(("restart", name, force))

    @property
    def debuggers(self) -> Service:
        return self

    async def attach(self, model: str, instance: str, port: int, sources: list[Any]) -> dict[str, int]:
        self.done.append(("debug", model, instance, port, sources))
        return {"port": port}

    async def detach(self, model: str, instance: str) -> None:
        self.done.append(("undebug", model, instance))

    def dump_stacks(self, name: str) -> None:
        self.done.append(("stacks", name))


def call(service: Service, method: str, target: str, body: bytes = b"") -> Any:
    answer = control.call(cast(Any, service), method.encode(), target, body)
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def texts(reply: Reply) -> list[str]:
    return [record["text"] for record in json.loads(reply.body)["records"]]


def test_status() -> None:
    assert json.loads(call(Service(), "GET", "status?").body) == {"engine": {}}


def test_logs_of_all_and_of_one() -> None:
    assert texts(call(Service(), "GET", "logs?")) == ["0", "1", "2"]
    assert texts(call(Service(), "GET", "logs?tail=1")) == ["2"]
    assert texts(call(Service(), "GET", "models/m/logs?")) == ["1", "2"]
    assert texts(call(Service(), "GET", "models/m/logs?instance=m_0_1")) == ["1"]
    assert texts(call(Service(), "GET", "models/nobody/logs?")) == []


def test_a_tail_that_is_no_number() -> None:
    with pytest.raises(PyServeError, match="'tail' and 'after' must be numbers"):
        call(Service(), "GET", "logs?tail=x")


def test_deploy_streams_a_line_for_each_event() -> None:
    service = Service()
    body = {"source": "code", "config": None, "origin": {"notebook": "a.ipynb"}}
    stream = call(service, "POST", "models/my%20m/deploy?", json.dumps(body).encode())
    assert isinstance(stream, Stream)

    async def lines() -> list[bytes]:
        return [line async for line in stream.chunks]

    assert asyncio.run(lines()) == [b'{"event":"progress"}\n', b'{"event":"ready"}\n']
    assert service.done == [("my m", "code", None, "a.ipynb")]


@pytest.mark.parametrize("body", [{}, {"source": 1}, {"source": "x", "config": 1}])
def test_a_deploy_needs_a_source(body: dict[str, Any]) -> None:
    with pytest.raises(PyServeError) as refusal:
        call(Service(), "POST", "models/m/deploy?", json.dumps(body).encode())
    assert refusal.value.code is Code.INVALID_ARG


@pytest.mark.parametrize("origin", [None, 1, [], {}, {"notebook": 3}])
def test_an_origin_that_says_nothing(origin: Any) -> None:
    service = Service()
    stream = call(service, "POST", "models/m/deploy?", json.dumps({"source": "x", "origin": origin}).encode())

    async def drain() -> None:
        async for _ in stream.chunks:
            pass

    asyncio.run(drain())
    assert service.done == [("m", "x", None, None)]


@pytest.mark.parametrize(
    ("action", "body", "done"),
    [
        ("undeploy", b"", ("undeploy", "m", False, False)),
        ("undeploy", b'{"delete": true}', ("undeploy", "m", True, False)),
        ("undeploy", b'{"delete": "yes", "force": true}', ("undeploy", "m", False, True)),
        ("restart", b"{}", ("restart", "m", False)),
        ("restart", b'{"force": true}', ("restart", "m", True)),
        ("stacks", b"{}", ("stacks", "m")),
    ],
)
def test_actions(action: str, body: bytes, done: Any) -> None:
    service = Service()
    assert call(service, "POST", f"models/m/{action}?", body) == Reply(200, b"{}")
    assert service.done == [done]


def test_debuggers_of_an_instance() -> None:
    service = Service()
    source = {"path": "/tmp/cell.py", "line": 2, "count": 9, "model_line": 1}
    body = json.dumps({"port": 4711, "sources": [source]}).encode()
    assert json.loads(call(service, "POST", "models/m/instances/m_0_0/debug?", body).body) == {"port": 4711}
    assert call(service, "POST", "models/m/instances/a%2Fb/undebug?").body == b"{}"
    assert service.done == [("debug", "m", "m_0_0", 4711, [source]), ("undebug", "m", "a/b")]


@pytest.mark.parametrize(
    "body", [{"port": -1}, {"port": "1"}, {"port": 65536}, {"sources": {}}, {"sources": [{"path": "x"}]}], ids=repr
)
def test_debuggers_that_are_asked_for_wrongly(body: dict[str, Any]) -> None:
    service = Service()
    with pytest.raises(PyServeError) as refusal:
        call(service, "POST", "models/m/instances/m_0_0/debug?", json.dumps(body).encode())
    assert refusal.value.code is Code.INVALID_ARG
    assert service.done == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"[" * 100_000, b"\xff"], ids=lambda body: repr(body[:5]))
def test_bodies_that_are_no_object(body: bytes) -> None:
    service = Service()
    with pytest.raises(PyServeError) as refusal:
        call(service, "POST", "models/m/restart?", body)
    assert refusal.value.code is Code.INVALID_ARG
    assert service.done == []


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "status?", 405),
        ("POST", "events?", 405),
        ("GET", "nowhere?", 404),
        ("POST", "models/a/b/restart?", 404),
        ("POST", "models//restart?", 404),
        ("POST", "models/m/restart/?", 404),
        ("POST", "models/m/logs?", 405),
        ("GET", "models/m/restart?", 405),
        ("GET", "models/m/instances/m_0_0/debug?", 405),
        ("POST", "models/m/instances/m_0_0/dance?", 404),
        ("GET", "models/m/deploy?", 405),
    ],
)
def test_wrong_paths_and_methods(method: str, target: str, status: int) -> None:
    service = Service()
    assert call(service, method, target).status == status
    assert service.done == []
