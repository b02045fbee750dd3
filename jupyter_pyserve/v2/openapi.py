"""The REST protocol as an OpenAPI 3.1 document: every path of the route table, what it takes and what it answers.

A test holds it against the route table. Error bodies are one schema everywhere; which status has which reason is
described where the protocol is (a body that cannot be parsed is 500, as on Triton).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from jupyter_pyserve.v2 import jsonout
from jupyter_pyserve.v2.openapi_schemas import SCHEMAS, Schema, listed, ref
from jupyter_pyserve.v2.routes import Endpoint

PATH: Final = "/v2/openapi.json"

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_BINARY: Final = "application/octet-stream"
_BYTES: Final[Schema] = {"type": "string", "format": "binary"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of some paths; `body` and `answer` go by content type, `errors` are statuses."""

    endpoint: Endpoint
    method: str
    paths: Sequence[str]
    summary: str
    body: Mapping[str, Schema] | None = None
    body_required: bool = False
    answer: Mapping[str, Schema] | None = None
    errors: Sequence[int] = ()


def _json(name: str) -> Mapping[str, Schema]:
    return {_JSON: ref(name)}


_MODEL: Final = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
_TRACE: Final = ("/v2/trace/setting", "/v2/models/{model}/trace/setting")
_IN_REPOSITORY: Final = ("/v2/repository", "/v2/repository/{repository}")


def _of_model(action: str) -> Sequence[str]:
    return tuple(f"{path}/{action}" for path in _MODEL)


def _of_repository(action: str) -> Sequence[str]:
    return tuple(f"{path}/{action}" for path in _IN_REPOSITORY)


_HEALTH: Final = (
    Operation(
        endpoint=Endpoint.SERVER_LIVE,
        method="get",
        paths=("/v2/health/live",),
        summary="Whether the server answers at all.",
        answer=_json("Health"),
        errors=(400,),
    ),
    Operation(
        endpoint=Endpoint.SERVER_READY,
        method="get",
        paths=("/v2/health/ready",),
        summary="Whether the server and its models can be used.",
        answer=_json("Health"),
        errors=(400,),
    ),
    Operation(
        endpoint=Endpoint.MODEL_READY,
        method="get",
        paths=_of_model("ready"),
        summary="Whether a model can be used.",
        errors=(400, 404, 500, 503),
    ),
)
_METADATA: Final = (
    Operation(
        endpoint=Endpoint.OPENAPI,
        method="get",
        paths=(PATH,),
        summary="This description.",
        answer={_JSON: {"type": "object"}},
    ),
    Operation(
        endpoint=Endpoint.SERVER_METADATA,
        method="get",
        paths=("/v2",),
        summary="Name, version and extensions of the server.",
        answer=_json("ServerMetadata"),
    ),
    Operation(
        endpoint=Endpoint.MODEL_METADATA,
        method="get",
        paths=_MODEL,
        summary="Inputs, outputs and versions of a model.",
        answer=_json("ModelMetadata"),
        errors=(400, 404, 503),
    ),
    Operation(
        endpoint=Endpoint.MODEL_CONFIG,
        method="get",
        paths=_of_model("config"),
        summary="The completed configuration of a model.",
        answer=_json("ModelConfig"),
        errors=(400, 404, 503),
    ),
    Operation(
        endpoint=Endpoint.MODEL_STATISTICS,
        method="get",
        paths=("/v2/models/stats", *_of_model("stats")),
        summary="What a model, or every model, has done since it was loaded.",
        answer=_json("Statistics"),
        errors=(400, 404, 503),
    ),
)
_INFERENCE_ERRORS: Final = (400, 404, 415, 500, 501, 503)
_INFERENCE: Final = (
    Operation(
        endpoint=Endpoint.INFER,
        method="post",
        paths=_of_model("infer"),
        summary="One inference. Binary tensors follow the JSON, whose length Inference-Header-Content-Length says.",
        body={_JSON: ref("InferenceRequest"), _BINARY: _BYTES},
        answer={_JSON: ref("InferenceResponse"), _BINARY: _BYTES},
        errors=_INFERENCE_ERRORS,
    ),
    Operation(
        endpoint=Endpoint.GENERATE,
        method="post",
        paths=_of_model("generate"),
        summary="One inference with flat JSON on both sides, for models of text.",
        body=_json("GenerateRequest"),
        answer=_json("GenerateResponse"),
        errors=_INFERENCE_ERRORS,
    ),
    Operation(
        endpoint=Endpoint.GENERATE_STREAM,
        method="post",
        paths=_of_model("generate_stream"),
        summary="The same with any number of answers, as server-sent events.",
        body=_json("GenerateRequest"),
        answer={"text/event-stream": {"type": "string"}},
        errors=_INFERENCE_ERRORS,
    ),
)
_REPOSITORY: Final = (
    Operation(
        endpoint=Endpoint.REPOSITORY_INDEX,
        method="post",
        paths=_of_repository("index"),
        summary="Every version of every model of the repository.",
        body=_json("IndexRequest"),
        answer={_JSON: listed(ref("IndexRow"))},
        errors=(400, 500),
    ),
    Operation(
        endpoint=Endpoint.REPOSITORY_LOAD,
        method="post",
        paths=_of_repository("models/{model}/load"),
        summary="Load a model, or load it again; answers when it is ready.",
        body=_json("LoadRequest"),
        answer={},
        errors=(400, 500, 501, 503),
    ),
    Operation(
        endpoint=Endpoint.REPOSITORY_UNLOAD,
        method="post",
        paths=_of_repository("models/{model}/unload"),
        summary="Take a model out of service.",
        body=_json("UnloadRequest"),
        answer={},
        errors=(400, 500, 501, 503),
    ),
)
_SETTINGS: Final = (
    Operation(
        endpoint=Endpoint.TRACE_GET,
        method="get",
        paths=_TRACE,
        summary="What is traced.",
        answer=_json("TraceSettings"),
        errors=(400,),
    ),
    Operation(
        endpoint=Endpoint.TRACE_UPDATE,
        method="post",
        paths=_TRACE,
        summary="Change what is traced; null takes a setting back.",
        body=_json("TraceUpdate"),
        body_required=True,
        answer=_json("TraceSettings"),
        errors=(400, 500, 501),
    ),
    Operation(
        endpoint=Endpoint.LOG_GET,
        method="get",
        paths=("/v2/logging",),
        summary="What is logged.",
        answer=_json("LogSettings"),
    ),
    Operation(
        endpoint=Endpoint.LOG_UPDATE,
        method="post",
        paths=("/v2/logging",),
        summary="Change what is logged.",
        body=_json("LogUpdate"),
        body_required=True,
        answer=_json("LogSettings"),
        errors=(400, 500, 501, 503),
    ),
)


def _shared_memory(kind: str, status: Endpoint, register: Endpoint, unregister: Endpoint) -> tuple[Operation, ...]:
    base, name = f"/v2/{kind}sharedmemory", kind.capitalize()
    return (
        Operation(
            endpoint=status,
            method="get",
            paths=(f"{base}/status", f"{base}/region/{{region}}/status"),
            summary=f"Registered {kind} shared memory.",
            answer={_JSON: listed(ref(f"{name}Region"))},
            errors=(400, 404),
        ),
        Operation(
            endpoint=register,
            method="post",
            paths=(f"{base}/region/{{region}}/register",),
            summary=f"Register {kind} shared memory of the client's.",
            body=_json(f"{name}Register"),
            body_required=True,
            answer={},
            errors=(400, 500, 501),
        ),
        Operation(
            endpoint=unregister,
            method="post",
            paths=(f"{base}/unregister", f"{base}/region/{{region}}/unregister"),
            summary="Forget a region, or all of them.",
            answer={},
            errors=(400, 501),
        ),
    )


OPERATIONS: Final[Sequence[Operation]] = (
    *_HEALTH,
    *_METADATA,
    *_INFERENCE,
    *_REPOSITORY,
    *_shared_memory("system", Endpoint.SYSTEM_SHM_STATUS, Endpoint.SYSTEM_SHM_REGISTER, Endpoint.SYSTEM_SHM_UNREGISTER),
    *_shared_memory("cuda", Endpoint.CUDA_SHM_STATUS, Endpoint.CUDA_SHM_REGISTER, Endpoint.CUDA_SHM_UNREGISTER),
    *_SETTINGS,
)

_PARAMETERS: Final[Mapping[str, Schema]] = {
    "model": {"type": "string", "minLength": 1},
    "version": {"type": "string", "pattern": "^[0-9]+$"},
    "region": {"type": "string", "minLength": 1},
    "repository": {"type": "string", "minLength": 1},
}


@lru_cache(maxsize=1)
def document(version: str) -> bytes:
    """The whole document, for this version of the server."""
    return jsonout.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "KServe / Open Inference Protocol v2, with Triton's extensions",
                "version": version,
            },
            "paths": _paths(),
            "components": {"schemas": SCHEMAS},
        }
    )


def _paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        for number, path in enumerate(operation.paths):
            paths.setdefault(path, {})[operation.method] = _described(operation, path, number)
    return paths


def _described(operation: Operation, path: str, number: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{operation.endpoint.value}{f'_{number + 1}' if number else ''}",
        "summary": operation.summary,
        "parameters": list(_parameters(path)),
        "responses": {
            "200": {"description": "Success.", "content": _content(operation.answer or {})},
            **{str(status): _ERROR for status in operation.errors},
        },
    }
    if operation.body is not None:
        described["requestBody"] = {"required": operation.body_required, "content": _content(operation.body)}
    return described


def _parameters(path: str) -> Iterator[Mapping[str, Any]]:
    for name, schema in _PARAMETERS.items():
        if f"{{{name}}}" in path:
            yield {"name": name, "in": "path", "required": True, "schema": schema}


def _content(by_type: Mapping[str, Schema]) -> dict[str, Any]:
    return {content_type: {"schema": schema} for content_type, schema in by_type.items()}


_ERROR: Final = {"description": "Why not.", "content": _content({_JSON: ref("Error"), _TEXT: {"type": "string"}})}
