"""The control API below `/api`, for the notebook, the panel and the command line; only on the engine's Unix socket.

Not part of the v2 protocol: whoever may use it may run code, because deploying is running code.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.engine.watching.log_query import LogQuery, find, follow
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http import acting, recordings
from jupyter_pyserve.transports.http.replies import Reply, Stream
from jupyter_pyserve.v2 import metadata

_LINES = b"application/x-ndjson"
_INSTANCE = re.compile(r"models/([^/]+)/instances/([^/]+)/([a-z]+)")
_MODEL = re.compile(r"models/([^/]+)/([a-z]+)")
_RECORDING = re.compile(r"recordings/([^/]+)(|/model)")

Query = Mapping[str, list[str]]


def _status(service: Service, query: Query) -> Any:
    return _sampled(service) if query.get("sample") == ["1"] else _json(service.status())


async def _sampled(service: Service) -> Reply:
    return _json(await service.watch.look())


def _events(service: Service, query: Query) -> Stream:
    try:
        interval_s = float(query.get("interval_s", ["1"])[0])
    except ValueError:
        interval_s = math.nan
    if not 0 < interval_s < math.inf:
        raise PyServeError(Code.INVALID_ARG, "'interval_s' must be a number of seconds")
    models = [name for text in query.get("models", []) for name in text.split(",")]
    return Stream(service.watch.lines(interval_s, models or None), _LINES)


def _logs(service: Service, name: str | None, query: Query) -> Any:
    def text(member: str) -> str:
        return query.get(member, [""])[0]

    try:
        wanted = LogQuery(
            model=name,
            instance=text("instance"),
            level=text("level"),
            search=text("search"),
            request=text("request"),
            after=int(text("after")) if text("after") else None,
            tail=int(text("tail") or 200),
        )
    except ValueError as error:
        reason = str(error) if text("level") else "'tail' and 'after' must be numbers"
        raise PyServeError(Code.INVALID_ARG, reason) from None
    if text("follow") == "1":
        return Stream(follow(service.logs, wanted), _LINES)
    records, seq = find(service.logs, wanted)
    return _json({"records": records, "next": seq})


def _deploy(service: Service, name: str, body: Mapping[str, Any]) -> Stream:
    source, config = body.get("source"), body.get("config")
    if not isinstance(source, str) or not isinstance(config, str | None):
        raise PyServeError(Code.INVALID_ARG, "a deploy needs the model's 'source' and may have its 'config', as text")
    origin = body.get("origin")
    owner = origin.get("notebook") if isinstance(origin, dict) else None
    events = service.deploy(name, source, config, owner if isinstance(owner, str) else None)

    async def lines() -> AsyncGenerator[bytes, None]:
        async for event in events:
            yield json.dumps(event, separators=(",", ":")).encode() + b"\n"

    return Stream(lines(), _LINES)


async def _undeploy(service: Service, name: str, body: Mapping[str, Any]) -> Reply:
    await service.undeploy(name, delete=body.get("delete") is True, force=body.get("force") is True)
    return _json({})


async def _restart(service: Service, name: str, body: Mapping[str, Any]) -> Reply:
    await service.restart(name, force=body.get("force") is True)
    return _json({})


def _stacks(service: Service, name: str, body: Mapping[str, Any]) -> Reply:
    service.dump_stacks(name)
    return _json({})


async def _debug(service: Service, name: str, instance: str, body: Mapping[str, Any]) -> Reply:
    port, sources = body.get("port", 0), body.get("sources", [])
    if not isinstance(port, int) or not 0 <= port < 2**16:
        raise PyServeError(Code.INVALID_ARG, "'port' must be a number from 0, which is any, to 65535")
    if not isinstance(sources, list) or not all(_is_source(item) for item in sources):
        raise PyServeError(
            Code.INVALID_ARG, "'sources' must be a list of objects with 'path', 'line', 'count' and 'model_line'"
        )
    return _json(await service.debuggers.attach(name, instance, port, sources))


def _is_source(item: object) -> bool:
    return isinstance(item, dict) and {key: type(value) for key, value in item.items()} == _SOURCE


_SOURCE = {"path": str, "line": int, "count": int, "model_line": int}


async def _undebug(service: Service, name: str, instance: str, body: Mapping[str, Any]) -> Reply:
    await service.debuggers.detach(name, instance)
    return _json({})


_INSTANCE_ACTIONS: Mapping[str, Callable[[Service, str, str, Mapping[str, Any]], Any]] = {
    "debug": _debug,
    "undebug": _undebug,
    **acting.INSTANCE_ACTIONS,
}
_ACTIONS: Mapping[str, Callable[[Service, str, Mapping[str, Any]], Any]] = {
    "deploy": _deploy,
    "undeploy": _undeploy,
    "restart": _restart,
    "stacks": _stacks,
    **acting.MODEL_ACTIONS,
    "record": recordings.record,
}


#: What can be asked of the engine as a whole.
_QUESTIONS: Mapping[str, Callable[[Service, Query], Any]] = {
    "status": _status,
    "events": _events,
    "logs": lambda service, query: _logs(service, None, query),
    "recordings": lambda service, query: recordings.listed(service, query.get("model", [""])[0]),
}


def call(service: Service, method: bytes, target: str, body: bytes) -> Any:
    """Answer a request to `/api/<target>`."""
    path, _, query_text = target.partition("?")
    query = parse_qs(query_text)
    if path in _QUESTIONS:
        return _QUESTIONS[path](service, query) if method == b"GET" else _wrong_method()
    found = _RECORDING.fullmatch(path)
    if found is not None:
        return recordings.one(service, method, unquote(found.group(1)), found.group(2))
    found = _INSTANCE.fullmatch(path)
    if found is not None:
        name, instance = unquote(found.group(1)), unquote(found.group(2))
        act = _INSTANCE_ACTIONS.get(found.group(3), _not_found)
        return act(service, name, instance, _object(body)) if method == b"POST" else _wrong_method()
    found = _MODEL.fullmatch(path)
    if found is None:
        return _not_found()
    name, action = unquote(found.group(1)), found.group(2)
    if action == "logs":
        return _logs(service, name, query) if method == b"GET" else _wrong_method()
    if action not in _ACTIONS:
        return _not_found()
    return _ACTIONS[action](service, name, _object(body)) if method == b"POST" else _wrong_method()


def _not_found(*_: object) -> Reply:
    return Reply(404, metadata.error("Not Found"))


def _wrong_method() -> Reply:
    return Reply(405, metadata.error("Method Not Allowed"))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise PyServeError(Code.INVALID_ARG, "the body is not JSON") from None
    if not isinstance(value, dict):
        raise PyServeError(Code.INVALID_ARG, "the body is not a JSON object")
    return value


def _json(value: object) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode())
