"""Methods of the service on values, without a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.devices.courier import Courier
from jupyter_pyserve.engine.memory.regions import ClientRegions
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.transports.grpc.methods import METHODS, SERVICE, check_version, delayed

messages = service_messages()


class FakeService:
    """Notes what it is asked to do."""

    def __init__(self) -> None:
        self.ready = True
        self.did: list[Any] = []
        self.regions = ClientRegions(Courier(), enabled=False)

    async def is_server_ready(self) -> bool:
        return self.ready

    def index(self) -> list[dict[str, str]]:
        return [{"name": "b", "version": "1", "state": "READY"}, {"name": "a"}]

    async def load(self, name: str, *, config: str | None, files: Mapping[str, bytes]) -> None:
        self.did.append((name, config, dict(files)))

    async def unload(self, name: str, *, unload_dependents: bool) -> None:
        self.did.append((name, unload_dependents))


def call(service: Any, method: str, **fields: Any) -> Any:
    kind, function = METHODS[method if method.startswith("/") else SERVICE + method]
    found = function(service, getattr(messages, kind)(**fields) if kind else None, messages)
    return asyncio.run(found) if asyncio.iscoroutine(found) else found


def refusal(service: Any, method: str, **fields: Any) -> tuple[Code, str]:
    with pytest.raises(PyServeError) as refused:
        call(service, method, **fields)
    return refused.value.code, refused.value.message


def test_every_method_is_there() -> None:
    names = {method.name for method in messages.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods}
    ours = {path.removeprefix(SERVICE): kind for path, (kind, _) in METHODS.items() if path.startswith(SERVICE)}
    assert set(ours) == names - {"ModelInfer", "ModelStreamInfer"}
    assert all(hasattr(messages, kind) for kind in ours.values())


@pytest.mark.parametrize("ready", [True, False])
def test_health(ready: bool) -> None:
    service: Any = FakeService()
    service.ready = ready
    assert call(service, "/grpc.health.v1.Health/Check") == (b"\x08\x01" if ready else b"\x08\x02")
    assert call(service, "ServerReady").ready is ready
    assert call(service, "ServerLive").live


@pytest.mark.parametrize(
    ("text", "version"), [("", ""), ("3", "3"), (" +3", "3"), ("1.5", "1"), ("2x", "2"), ("x2", "x2")]
)
def test_versions(text: str, version: str) -> None:
    assert check_version(text) == version


def test_negative_versions() -> None:
    with pytest.raises(PyServeError, match="invalid model version specified '-1' , version should be"):
        check_version("-1")


def test_the_index() -> None:
    service = FakeService()
    assert [row.name for row in call(service, "RepositoryIndex").models] == ["b", "a"]
    assert [row.name for row in call(service, "RepositoryIndex", ready=True).models] == ["b"]


def test_loading() -> None:
    service = FakeService()
    config, file = (
        messages.ModelRepositoryParameter(string_param="{}"),
        messages.ModelRepositoryParameter(bytes_param=b"\xff"),
    )
    call(service, "RepositoryModelLoad", model_name="m", parameters={"config": config, "file:1/model.py": file})
    call(service, "RepositoryModelLoad", model_name="n")
    assert service.did == [("m", "{}", {"1/model.py": b"\xff"}), ("n", None, {})]


def test_unloading() -> None:
    service = FakeService()
    yes = messages.ModelRepositoryParameter(bool_param=True)
    call(service, "RepositoryModelUnload", model_name="m", parameters={"unload_dependents": yes})
    call(service, "RepositoryModelUnload", model_name="n")
    assert service.did == [("m", True), ("n", False)]


@pytest.mark.parametrize(
    ("method", "name", "text"),
    [
        ("RepositoryModelLoad", "config", "invalid value type for load parameter 'config', expected string_param."),
        ("RepositoryModelLoad", "file:x", "invalid value type for load parameter 'file:x', expected bytes_param."),
        ("RepositoryModelLoad", "foo", "unrecognized load parameter 'foo'."),
        (
            "RepositoryModelUnload",
            "unload_dependents",
            "invalid value type for 'unload_dependents' parameter, expected bool_param.",
        ),
    ],
)
def test_wrong_parameters(method: str, name: str, text: str) -> None:
    number = messages.ModelRepositoryParameter(int64_param=1)
    assert refusal(FakeService(), method, model_name="m", parameters={name: number}) == (Code.INVALID_ARG, text)


@pytest.mark.parametrize("method", ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"])
def test_a_named_repository(method: str) -> None:
    expected = (Code.UNSUPPORTED, "'repository_name' specification is not supported")
    assert refusal(FakeService(), method, repository_name="main") == expected


@pytest.mark.parametrize("kind", ["System", "Cuda"])
@pytest.mark.parametrize("method", ["Status", "Register", "Unregister"])
def test_shared_memory_is_refused_unless_it_is_allowed(kind: str, method: str) -> None:
    code, text = refusal(FakeService(), f"{kind}SharedMemory{method}", name="r")
    assert code is Code.UNSUPPORTED
    assert "--allow-client-shm=true" in text


def test_answers_that_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    slow = delayed(2.5)
    for name in ("ServerLive", "ServerReady"):
        path = SERVICE + name
        assert slow[path][0] == METHODS[path][0]
        answer = asyncio.run(slow[path][1](cast(Any, FakeService()), None, messages))
        assert answer == type(answer)(**{"live" if name == "ServerLive" else "ready": True})
    assert slept == [2.5, 2.5]
