"""The engine's control API as Python calls: status, deploy, undeploy, load, unload, restart, logs.

Knows the routes and nothing of how their answers are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast
from urllib.parse import quote, urlencode

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.connection import Connection, LineStream
from jupyter_pyserve.notebook.payloads import (
    Debugged,
    DeployEvent,
    EngineStatus,
    LogRecord,
    ModelInfo,
    Origin,
    RecordedModel,
    RecordingInfo,
    StackInfo,
)


class DeployStream:
    """The events of one deployment, as they come; the last is `ready` or `error`."""

    def __init__(self, lines: LineStream) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[DeployEvent]:
        try:
            for line in self._lines:
                event = _event(line)
                yield event
                if event["event"] != "progress":
                    return
            raise PyServeError(Code.UNAVAILABLE, "the engine stopped in the middle of the deployment")
        finally:
            self._lines.close()

    def close(self) -> None:
        """Stop listening; wakes a thread that is reading."""
        self._lines.close()


class Control:
    """The control API of one engine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status(self, *, timeout_s: float = 60.0) -> EngineStatus:
        return cast(EngineStatus, self._connection.json("GET", "/api/status", timeout_s=timeout_s))

    def model_status(self, name: str) -> ModelInfo:
        for found in self.status()["models"]:
            if found["name"] == name:
                return found
        raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")

    def config(self, name: str) -> dict[str, object]:
        """The configuration of a served model, complete."""
        found = self._connection.json("GET", f"/v2/models/{quote(name, safe='')}/config")
        return cast("dict[str, object]", found)

    def deploy(self, name: str, source: str, config: str | None, origin: Origin) -> DeployStream:
        body = {"source": source, "config": config, "origin": origin}
        return DeployStream(self._connection.stream("POST", f"{_model(name)}/deploy", body))

    def undeploy(self, name: str, *, delete: bool = False) -> None:
        self._connection.json("POST", f"{_model(name)}/undeploy", {"delete": delete})

    def restart(self, name: str, *, force: bool = False) -> None:
        self._connection.json("POST", f"{_model(name)}/restart", {"force": True} if force else {}, timeout_s=None)

    def debug(self, name: str, instance: str, port: int, sources: Sequence[Mapping[str, object]]) -> Debugged:
        body = {"port": port, "sources": list(sources)}
        return cast(Debugged, self._connection.json("POST", f"{_instance(name, instance)}/debug", body))

    def undebug(self, name: str, instance: str) -> None:
        self._connection.json("POST", f"{_instance(name, instance)}/undebug", {}, timeout_s=None)

    def stack(self, name: str, instance: str) -> StackInfo:
        return cast(StackInfo, self._connection.json("POST", f"{_instance(name, instance)}/stack", {}))

    def record(self, name: str, mode: str, limit: int | None) -> None:
        self._connection.json("POST", f"{_model(name)}/record", {"mode": mode, "limit": limit})

    def recordings(self, name: str | None = None, *, timeout_s: float = 60.0) -> list[RecordingInfo]:
        query = "" if name is None else "?" + urlencode({"model": name})
        found = self._connection.json("GET", f"/api/recordings{query}", timeout_s=timeout_s)
        return cast("list[RecordingInfo]", found["recordings"])

    def recording(self, name: str) -> tuple[memoryview, int]:
        """The recorded request as the body of a v2 request, and how long its JSON part is."""
        reply = self._connection.request("GET", f"/api/recordings/{quote(name, safe='')}", timeout_s=60.0).checked()
        return reply.body, int(reply.headers["Inference-Header-Content-Length"])

    def recorded_model(self, name: str) -> RecordedModel:
        found = self._connection.json("GET", f"/api/recordings/{quote(name, safe='')}/model")
        return cast(RecordedModel, found)

    def load(self, name: str) -> None:
        self._connection.json("POST", f"/v2/repository/models/{quote(name, safe='')}/load", {}, timeout_s=None)

    def unload(self, name: str) -> None:
        self._connection.json("POST", f"/v2/repository/models/{quote(name, safe='')}/unload", {}, timeout_s=None)

    def logs(self, name: str | None = None, *, tail: int = 200, instance: str | None = None) -> list[LogRecord]:
        query = {"tail": str(tail), **({} if instance is None else {"instance": instance})}
        path = "/api/logs" if name is None else f"{_model(name)}/logs"
        reply = self._connection.json("GET", f"{path}?{urlencode(query)}")
        return cast("list[LogRecord]", reply["records"])


def _event(line: bytes) -> DeployEvent:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise PyServeError(Code.INTERNAL, f"the engine sent something that is not an event: {line[:200]!r}") from error
    if not isinstance(event, dict) or "event" not in event:
        raise PyServeError(Code.INTERNAL, f"the engine sent something that is not an event: {line[:200]!r}")
    return cast(DeployEvent, event)


def _instance(name: str, instance: str) -> str:
    return f"{_model(name)}/instances/{quote(instance, safe='')}"


def _model(name: str) -> str:
    return f"/api/models/{quote(name, safe='')}"
