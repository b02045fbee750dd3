"""The part of the control API that is about recorded requests: list, fetch, forget, and what is kept.

Recordings hold what clients sent, so all of it is for those who may execute.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_pyserve.engine.debugging.recorder import MOST, Mode
from jupyter_pyserve.engine.debugging.recording import HEADER_LENGTH, Recording, Shelf
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.replies import Reply
from jupyter_pyserve.v2 import metadata

_BINARY = b"application/octet-stream"


def record(service: Service, name: str, body: Mapping[str, Any]) -> Reply:
    """POST models/NAME/record."""
    mode, limit = body.get("mode", Mode.FAILURES.value), body.get("limit")
    if mode not in [item.value for item in Mode]:
        raise PyServeError(Code.INVALID_ARG, "'mode' must be one of: " + ", ".join(item.value for item in Mode))
    if limit is not None and (type(limit) is not int or not 0 < limit <= MOST):
        raise PyServeError(Code.INVALID_ARG, f"'limit' must be a number from 1 to {MOST}")
    service.record(name, Mode(mode), limit)
    return Reply(200, b"{}")


def listed(service: Service, model: str) -> Reply:
    """GET recordings?model=NAME."""
    rows = [item.to_json_dict() for item in service.recorder.shelf.of(model)]
    return Reply(200, json.dumps({"recordings": rows}, separators=(",", ":")).encode())


def one(service: Service, method: bytes, name: str, part: str) -> Any:
    """GET or DELETE recordings/ID, GET recordings/ID/model."""
    act = _PARTS.get((method, part))
    return act(service.recorder.shelf, name) if act is not None else Reply(405, metadata.error("Method Not Allowed"))


def _body(shelf: Shelf, name: str) -> Reply:
    length, body = shelf.get(name).body()
    return Reply(200, body, _BINARY, b"%b: %d\r\n" % (HEADER_LENGTH.encode(), length))


def _forget(shelf: Shelf, name: str) -> Reply:
    shelf.drop(name)
    return Reply(200, b"{}")


async def _model(shelf: Shelf, name: str) -> Reply:
    """What the request was executed by: the text of the model's file as it is now, and what `initialize` was given."""
    recording = shelf.get(name)
    source = await asyncio.to_thread(_source, recording)
    value = {
        "source": source,
        "model_file": recording.model_file,
        "args": dict(recording.args),
        "shapes": dict(recording.seen),
    }
    return Reply(200, json.dumps(value, separators=(",", ":")).encode())


def _source(recording: Recording) -> str:
    try:
        return Path(recording.model_file).read_text("utf-8", "replace")
    except OSError as error:
        text = f"the model of recording '{recording.id}' cannot be read: {recording.model_file}: {error.strerror}"
        raise PyServeError(Code.NOT_FOUND, text) from error


_PARTS: Mapping[tuple[bytes, str], Callable[[Shelf, str], Any]] = {
    (b"GET", ""): _body,
    (b"DELETE", ""): _forget,
    (b"GET", "/model"): _model,
}
