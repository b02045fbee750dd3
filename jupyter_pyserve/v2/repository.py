"""Reads the bodies of the model repository endpoints: index, load, unload.

Only what the bodies say: names of models are checked by `model`, paths of files by who writes them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import limits, members, rapidjson

_FILE: Final = "file:"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest:
    """Overrides for one load: a whole configuration as JSON text, and files by their path inside the model."""

    config: str | None
    files: Mapping[str, bytes]


def parse_index(body: bytes, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES) -> bool:
    """Whether only READY versions are asked for."""
    request = _object(body, max_json_bytes)
    ready = request.get("ready", False)
    if type(ready) is not bool:
        raise PyServeError(Code.INVALID_ARG, "Invalid value for 'ready': expected a boolean")
    return ready


def parse_load(body: bytes, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES) -> LoadRequest:
    request = _object(body, max_json_bytes)
    parameters = request.get("parameters", {})
    if type(parameters) is not dict:
        raise PyServeError(Code.INTERNAL, "attempt to get members for non-object")
    config: str | None = None
    files: dict[str, bytes] = {}
    for name, value in parameters.items():
        if type(value) is not str:
            raise PyServeError(Code.INTERNAL, members.NOT_STRING)
        if name == "config":
            config = value
        elif name.startswith(_FILE):
            files[name.removeprefix(_FILE)] = _decoded(name, value)
        else:
            raise PyServeError(Code.INTERNAL, "unexpected error on creating Triton parameter")
    return LoadRequest(config=config, files=files)


def parse_unload(body: bytes, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES) -> bool:
    """Whether models that this one depends on go too; a body that says anything else is not minded, as in Triton."""
    limits.check_json_size(len(body), max_json_bytes)
    with contextlib.suppress(PyServeError):
        parameters = members.object_or_empty(_object(body, max_json_bytes).get("parameters"))
        return parameters.get("unload_dependents") is True
    return False


def _object(body: bytes, limit: int) -> dict[str, Any]:
    limits.check_json_size(len(body), limit)
    return members.object_or_empty(rapidjson.loads(body)) if body else {}


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PyServeError(Code.INVALID_ARG, f"parameter '{name}' is not valid base64: {error}") from error
