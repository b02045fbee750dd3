"""Reads and writes the bodies of the shared memory endpoints. Knows no memory."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import jsonout, limits, members, rapidjson

_CUDA_HANDLE_NBYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRegister:
    """A region of system shared memory: `nbytes` from `offset` of what lies under `key`."""

    key: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaRegister:
    """A region on a GPU: the first `nbytes` of the allocation that `handle` stands for."""

    handle: bytes
    device: int
    nbytes: int


def require_name(name: str, kind: str) -> None:
    """A region that is registered has a name."""
    if not name:
        text = f"'region name' is necessary to register {kind} shared memory region"
        raise PyServeError(Code.INVALID_ARG, text)


def parse_system_register(body: bytes) -> SystemRegister:
    """The body of a registration."""
    request = _request(body)
    key = _with(request, "key")["key"]
    if type(key) is not str:
        raise PyServeError(Code.INTERNAL, members.NOT_STRING)
    offset = _unsigned(request, "offset") if "offset" in request else 0
    return SystemRegister(key=key, offset=offset, nbytes=_unsigned(_with(request, "byte_size"), "byte_size"))


def _unsigned(request: members.Members, name: str) -> int:
    number: object = request[name]
    if type(number) is not int or not members.is_unsigned(number):
        raise PyServeError(Code.INTERNAL, members.NOT_UINT)
    return number


def parse_cuda_register(body: bytes) -> CudaRegister:
    """The body of a registration of a device's memory."""
    request = _request(body)
    encoded = members.object_or_empty(_with(request, "raw_handle")["raw_handle"])
    if type(_member(encoded, "b64")) is not str:
        raise PyServeError(Code.INTERNAL, members.NOT_STRING)
    _member(request, "byte_size")
    nbytes = _unsigned(request, "byte_size")
    _member(request, "device_id")
    device = _unsigned(request, "device_id")
    handle = b""
    with contextlib.suppress(binascii.Error, ValueError):
        handle = base64.b64decode(encoded["b64"], validate=True)
    if len(handle) != _CUDA_HANDLE_NBYTES:
        raise PyServeError(Code.INVALID_ARG, "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t")
    return CudaRegister(handle=handle, device=device, nbytes=nbytes)


def _member(holder: members.Members, name: str) -> object:
    if name not in holder:
        raise PyServeError(Code.INTERNAL, f"attempt to access non-existing object member '{name}'")
    return holder[name]


def status(rows: Sequence[dict[str, Any]]) -> bytes:
    """The body of a status."""
    return jsonout.dumps(rows)


def _request(body: bytes) -> members.Members:
    limits.check_json_size(len(body), limits.DEFAULT_MAX_INPUT_BYTES)
    return members.object_or_empty(rapidjson.loads(body))


def _with(request: members.Members, name: str) -> members.Members:
    if name not in request:
        raise PyServeError(Code.INVALID_ARG, f"Shared memory register request has no '{name}' field")
    return request
