"""What the control API does to models and instances that serve: one short function for each action."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.replies import Reply

Body = Mapping[str, Any]

_MOST_DIGITS = len(str(2**63))


def _json(value: object) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode())


async def _done(work: Awaitable[None]) -> Reply:
    await work
    return _json({})


# -- models -----------------------------------------------------------------------------------------------------------


def _scale(service: Service, name: str, body: Body) -> Any:
    return _done(service.scale(name, _whole(body, "instances")))


async def _rollback(service: Service, name: str, body: Body) -> Reply:
    version = None if body.get("version") is None else _whole(body, "version")
    old, new = await service.operations.roll_back(name, version)
    return _json({"from": str(old), "version": str(new)})


def _drain(service: Service, name: str, body: Body) -> Reply:
    service.operations.drain(name)
    return _json({})


def _resume(service: Service, name: str, body: Body) -> Reply:
    service.operations.resume(name)
    return _json({})


MODEL_ACTIONS: Mapping[str, Callable[[Service, str, Body], Any]] = {
    "scale": _scale,
    "rollback": _rollback,
    "drain": _drain,
    "resume": _resume,
}

# -- instances --------------------------------------------------------------------------------------------------------


def _restart_instance(service: Service, name: str, instance: str, body: Body) -> Any:
    return _done(service.operations.restart_instance(name, instance, force=body.get("force") is True))


def _kill_instance(service: Service, name: str, instance: str, body: Body) -> Any:
    return _done(service.operations.kill_instance(name, instance))


def _drain_instance(service: Service, name: str, instance: str, body: Body) -> Reply:
    service.operations.drain_instance(name, instance)
    return _json({})


def _resume_instance(service: Service, name: str, instance: str, body: Body) -> Reply:
    service.operations.resume_instance(name, instance)
    return _json({})


async def _stack(service: Service, name: str, instance: str, body: Body) -> Reply:
    return _json(await service.operations.stacks(name, instance))


INSTANCE_ACTIONS: Mapping[str, Callable[[Service, str, str, Body], Any]] = {
    "restart": _restart_instance,
    "kill": _kill_instance,
    "drain": _drain_instance,
    "resume": _resume_instance,
    "stack": _stack,
}


def _whole(body: Body, member: str) -> int:
    value = body.get(member)
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS:
        value = int(value)  # versions are texts elsewhere
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise PyServeError(Code.INVALID_ARG, f"'{member}' must be a whole number above 0")
    return value
