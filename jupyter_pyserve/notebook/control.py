"""The engine's control API as Python calls: status, deploy, undeploy, load, unload, restart, logs.

Knows the routes and nothing of how their answers are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    RolledBack,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which log records are wanted: the last `tail` that all the rest is true of. `level` means it and above."""

    tail: int = 200
    instance: str | None = None
    level: str | None = None
    search: str | None = None
    request: str | None = None

    def query(self) -> dict[str, str]:
        """As the engine is asked."""
        named = {"instance": self.instance, "level": self.level, "search": self.search, "request": self.request}
        return {"tail": str(self.tail), **{key: value for key, value in named.items() if value is not None}}


EVERYTHING = LogFilter()


class LogStream:
    """Log records as they come."""

    def __init__(self, lines: LineStream) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[LogRecord]:
        try:
            for line in self._lines:
                yield cast(LogRecord, json.loads(line))
        finally:
            self._lines.close()

    def close(self) -> None:
        """Stop listening; wakes a thread that is reading."""
        self._lines.close()


class Control:
    """The control API of one engine."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def status(self, *, timeout_s: float = 60.0, sample: bool = False) -> EngineStatus:
        """`sample` asks for the figures of processes, too, which cost a look at each."""
        path = "/api/status?sample=1" if sample else "/api/status"
        return cast(EngineStatus, self._connection.json("GET", path, timeout_s=timeout_s))

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

    def scale(self, name: str, instances: int) -> None:
        self._connection.json("POST", f"{_model(name)}/scale", {"instances": instances}, timeout_s=None)

    def rollback(self, name: str, version: int | None) -> RolledBack:
        body = {} if version is None else {"version": version}
        return cast(RolledBack, self._connection.json("POST", f"{_model(name)}/rollback", body, timeout_s=None))

    def act(self, name: str, action: str, *, instance: str | None = None, force: bool = False) -> None:
        """`drain`, `resume`: of a model or of one instance; `restart`, `kill`: of an instance."""
        path = _model(name) if instance is None else _instance(name, instance)
        self._connection.json("POST", f"{path}/{action}", {"force": True} if force else {}, timeout_s=None)

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

    def logs(self, name: str | None = None, wanted: LogFilter = EVERYTHING) -> list[LogRecord]:
        reply = self._connection.json("GET", f"{_logs(name)}?{urlencode(wanted.query())}")
        return cast("list[LogRecord]", reply["records"])

    def follow_logs(self, name: str | None = None, wanted: LogFilter = EVERYTHING) -> LogStream:
        """The records, and then those that come, until it is closed."""
        query = {**wanted.query(), "follow": "1"}
        return LogStream(self._connection.stream("GET", f"{_logs(name)}?{urlencode(query)}"))


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


def _logs(name: str | None) -> str:
    return "/api/logs" if name is None else f"{_model(name)}/logs"


def _model(name: str) -> str:
    return f"/api/models/{quote(name, safe='')}"
