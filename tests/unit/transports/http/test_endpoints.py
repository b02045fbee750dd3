from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.engine.tracing.book import TraceBook
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import EngineSettings, LogSettings
from jupyter_pyserve.transports.http import endpoints
from jupyter_pyserve.transports.http.replies import TEXT, Reply
from jupyter_pyserve.v2.routes import Endpoint, Route


class Service:
    """What endpoints ask; remembers what they did."""

    version = "1.2.3"

    def __init__(self) -> None:
        self.settings = EngineSettings(server_id="me")
        self.ready = True
        self.asked = False
        self.models = {"m": True, "n": False}
        self.done: list[tuple[str, str]] = []
        self.overrides: tuple[str | None, dict[str, bytes]] = (None, {})
        self.unload_dependents = False
        self.log = ServerLog(LogSettings())
        self.traces = TraceBook()

    def server_ready(self) -> bool:
        return self.ready

    def model_ready(self, name: str, version: str) -> bool:
        if name not in self.models:
            raise PyServeError(Code.NOT_FOUND, f"no {name}")
        return self.models[name]

    def models_are_asked(self, name: str = "", version: str = "") -> bool:
        return self.asked

    async def is_server_ready(self) -> bool:
        return False

    async def is_model_ready(self, name: str, version: str) -> bool:
        return name == "n"

    def statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        return [{"name": name, "version": version}]

    def index(self) -> list[dict[str, str]]:
        return [
            {"name": "a", "version": "1", "state": "READY"},
            {"name": "b", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
            {"name": "c"},
        ]

    async def load(self, name: str, *, config: str | None, files: dict[str, bytes]) -> None:
        self.done.append(("load", name))
        self.overrides = (config, files)

    async def unload(self, name: str, *, unload_dependents: bool) -> None:
        self.done.append(("unload", name))
        self.unload_dependents = unload_dependents

    def require_known_to_trace(self, name: str) -> None:
        if name not in self.models:
            raise PyServeError(Code.INVALID_ARG, f"no {name}")


def call(service: Service, endpoint: Endpoint, body: bytes = b"", **names: str) -> Reply:
    answer = endpoints.call(cast(Any, service), Route(endpoint=endpoint, **cast(dict[str, Any], names)), body)
    reply = answer if isinstance(answer, Reply) else asyncio.run(answer)
    assert isinstance(reply, Reply)
    return reply


def _body(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_live_and_ready() -> None:
    service = Service()
    assert call(service, Endpoint.SERVER_LIVE) == Reply(200, b"", TEXT)
    assert call(service, Endpoint.SERVER_READY) == Reply(200, b"", TEXT)
    service.ready = False
    assert call(service, Endpoint.SERVER_LIVE).status == 200
    assert call(service, Endpoint.SERVER_READY) == Reply(400, b"", TEXT)


def test_server_metadata_says_the_id() -> None:
    told = json.loads(call(Service(), Endpoint.SERVER_METADATA).body)
    assert (told["name"], told["version"]) == ("me", "1.2.3")


@pytest.mark.parametrize(
    ("model", "status", "body"),
    [("m", 200, b""), ("n", 400, b'{"error":"Model version not ready"}'), ("x", 404, b'{"error":"no x"}')],
)
def test_model_ready(model: str, status: int, body: bytes) -> None:
    assert call(Service(), Endpoint.MODEL_READY, model=model) == Reply(status, body, TEXT)


def test_models_that_are_asked_have_the_last_word() -> None:
    service = Service()
    service.asked = True
    assert call(service, Endpoint.SERVER_READY).status == 400
    assert call(service, Endpoint.MODEL_READY, model="m").status == 400
    assert call(service, Endpoint.MODEL_READY, model="n").status == 200
    service.settings = EngineSettings(strict_readiness=False)
    assert call(service, Endpoint.SERVER_READY).status == 200


def test_statistics() -> None:
    told = json.loads(call(Service(), Endpoint.MODEL_STATISTICS, model="m", version="2").body)
    assert told == {"model_stats": [{"name": "m", "version": "2"}]}


def test_index() -> None:
    assert json.loads(call(Service(), Endpoint.REPOSITORY_INDEX).body) == Service().index()
    ready = json.loads(call(Service(), Endpoint.REPOSITORY_INDEX, b'{"ready":true}').body)
    assert ready == [{"name": "a", "version": "1", "state": "READY"}]


@pytest.mark.parametrize(
    ("endpoint", "done"), [(Endpoint.REPOSITORY_LOAD, "load"), (Endpoint.REPOSITORY_UNLOAD, "unload")]
)
def test_load_and_unload(endpoint: Endpoint, done: str) -> None:
    service = Service()
    assert call(service, endpoint, model="m") == Reply(200)
    assert service.done == [(done, "m")]
    with pytest.raises(PyServeError, match="'repository_name' specification is not supported"):
        call(service, endpoint, model="m", repository="r")
    assert service.done == [(done, "m")]


def test_what_a_load_puts_in_place_of_the_repository() -> None:
    service = Service()
    parameters = {"config": "{}", "file:1/model.py": "cGFzcw=="}
    assert call(service, Endpoint.REPOSITORY_LOAD, _body(parameters=parameters), model="m") == Reply(200)
    assert service.overrides == ("{}", {"1/model.py": b"pass"})


def test_unloading_dependents() -> None:
    service = Service()
    call(service, Endpoint.REPOSITORY_UNLOAD, _body(parameters={"unload_dependents": True}), model="m")
    assert service.unload_dependents


def test_log_settings() -> None:
    service = Service()
    told = json.loads(call(service, Endpoint.LOG_UPDATE, _body(log_info=False)).body)
    assert told["log_info"] is False
    assert service.log.settings == LogSettings(info=False)
    assert json.loads(call(service, Endpoint.LOG_GET).body) == told


def test_trace_settings_of_one_model() -> None:
    service = Service()
    told = json.loads(call(service, Endpoint.TRACE_UPDATE, _body(trace_rate="5"), model="m").body)
    assert told["trace_rate"] == "5"
    assert json.loads(call(service, Endpoint.TRACE_GET, model="m").body) == told
    assert json.loads(call(service, Endpoint.TRACE_GET).body)["trace_rate"] == "1000"


@pytest.mark.parametrize("endpoint", [Endpoint.TRACE_GET, Endpoint.TRACE_UPDATE])
def test_trace_settings_of_nobody(endpoint: Endpoint) -> None:
    with pytest.raises(PyServeError, match="no x"):
        call(Service(), endpoint, b"{}", model="x")


@pytest.mark.parametrize("endpoint", sorted(set(Endpoint) - set(endpoints.ENDPOINTS) - {Endpoint.INFER}, key=str))
def test_what_is_not_there_yet(endpoint: Endpoint) -> None:
    with pytest.raises(PyServeError, match=f"{endpoint.value} is not supported by this server") as refusal:
        call(Service(), endpoint)
    assert refusal.value.code is Code.UNSUPPORTED
