from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import limits
from jupyter_pyserve.v2.sharedmemory import (
    CudaRegister,
    SystemRegister,
    parse_cuda_register,
    parse_system_register,
    require_name,
    status,
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"key": "/k", "byte_size": 4}, SystemRegister(key="/k", offset=0, nbytes=4)),
        ({"key": "/k", "offset": 8, "byte_size": 4, "more": 1}, SystemRegister(key="/k", offset=8, nbytes=4)),
    ],
)
def test_a_registration(body: dict[str, Any], expected: SystemRegister) -> None:
    assert parse_system_register(json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"byte_size": 4}, Code.INVALID_ARG, "Shared memory register request has no 'key' field"),
        ({"key": "/k"}, Code.INVALID_ARG, "Shared memory register request has no 'byte_size' field"),
        ([], Code.INVALID_ARG, "Shared memory register request has no 'key' field"),
        ({"key": 1, "byte_size": 4}, Code.INTERNAL, "attempt to access JSON non-string as string"),
        ({"key": "k", "byte_size": -1}, Code.INTERNAL,
         "attempt to access JSON non-unsigned-integer as unsigned-integer"),
        ({"key": "k", "byte_size": 1, "offset": "0"}, Code.INTERNAL,
         "attempt to access JSON non-unsigned-integer as unsigned-integer"),
    ],
)  # fmt: skip
def test_what_is_no_registration(body: object, code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        parse_system_register(json.dumps(body).encode())
    assert (refusal.value.code, refusal.value.message) == (code, text)


HANDLE = base64.b64encode(bytes(range(64))).decode()


def member(name: str) -> str:
    return f"attempt to access non-existing object member '{name}'"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"byte_size": 4, "device_id": 0}, "Shared memory register request has no 'raw_handle' field"),
        ({"raw_handle": {"b64": "AA=="}, "device_id": 0}, member("byte_size")),
        ({"raw_handle": {"b64": "AA=="}, "byte_size": 4}, member("device_id")),
        ({"raw_handle": "AA==", "byte_size": 4, "device_id": 0}, member("b64")),
        ({"raw_handle": {"b64": 7}, "byte_size": 4, "device_id": 0}, "attempt to access JSON non-string as string"),
        (
            {"raw_handle": {"b64": HANDLE}, "byte_size": 4, "device_id": -1},
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        *(
            (
                {"raw_handle": {"b64": handle}, "byte_size": 4, "device_id": 0},
                "'raw_handle' must be a valid base64 encoded cudaIpcMemHandle_t",
            )
            for handle in ("AA==", "!", HANDLE + "AAAA")
        ),
    ],
)
def test_what_is_no_registration_of_a_gpus_memory(body: object, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        parse_cuda_register(json.dumps(body).encode())
    assert refusal.value.message == text


def test_a_registration_of_a_gpus_memory() -> None:
    body = json.dumps({"raw_handle": {"b64": HANDLE}, "byte_size": 4, "device_id": 1}).encode()
    assert parse_cuda_register(body) == CudaRegister(handle=bytes(range(64)), device=1, nbytes=4)


def test_a_region_has_a_name() -> None:
    require_name("r", "system")
    with pytest.raises(PyServeError, match="'region name' is necessary to register cuda shared memory region"):
        require_name("", "cuda")


def test_a_status() -> None:
    assert status([{"name": "r", "byte_size": 4}]) == b'[{"name":"r","byte_size":4}]'


@pytest.mark.parametrize("parse", [parse_system_register, parse_cuda_register])
def test_a_registration_has_a_size_that_is_looked_at_first(
    parse: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEFAULT_MAX_INPUT_BYTES", 3)
    with pytest.raises(PyServeError, match="request JSON size of 4 bytes exceeds the maximum allowed input size of 3"):
        parse(b"nope")
