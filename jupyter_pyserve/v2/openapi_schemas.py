"""The values of the REST protocol as JSON schemas, by name: what requests may hold and what answers do.

Requests are described as the protocol asks for them; what a server takes beyond that (unknown members are ignored, say)
stays unsaid. Knows no paths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

DATATYPES: Final = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BYTES", "BF16"),
)

_TEXT: Final[Schema] = {"type": "string"}
_FLAG: Final[Schema] = {"type": "boolean"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": (1 << 64) - 1}
_SIZE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": (1 << 63) - 1}
_TEXTS: Final[Schema] = {"type": "array", "items": _TEXT}


def ref(name: str) -> Schema:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Schema:
    """An array of such items."""
    return {"type": "array", "items": items}


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, **more: Any) -> Schema:
    """An object with these members."""
    members = {"type": "object", "properties": {**required, **(optional or {})}, **more}
    return {**members, "required": list(required)} if required else members


_REGION: Final[Mapping[str, Schema]] = {
    "shared_memory_region": _TEXT,
    "shared_memory_offset": _SIZE,
    "shared_memory_byte_size": _SIZE,
}
_DURATION: Final = record({"count": _COUNT, "ns": _COUNT})
_COMPUTE: Final = dict.fromkeys(("compute_input", "compute_infer", "compute_output"), _DURATION)
_SHAPE: Final = listed({"type": "integer", "minimum": -1})
_TENSOR: Final = record({"name": _TEXT, "datatype": {"type": "string"}, "shape": _SHAPE})

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": record({"error": _TEXT}),
    "Health": record({}, {"live": _FLAG, "ready": _FLAG}),
    "ServerMetadata": record({"name": _TEXT, "version": _TEXT, "extensions": _TEXTS}),
    "TensorMetadata": _TENSOR,
    "ModelMetadata": record(
        {
            "name": _TEXT,
            "versions": _TEXTS,
            "platform": _TEXT,
            "inputs": listed(ref("TensorMetadata")),
            "outputs": listed(ref("TensorMetadata")),
        }
    ),
    "ModelConfig": record({"name": _TEXT, "max_batch_size": {"type": "integer", "minimum": 0}}),
    "Parameters": {
        "type": "object",
        "description": "Reserved are sequence_id, sequence_start, sequence_end, priority, timeout (microseconds) and "
        "binary_data_output; any other goes to the model.",
        "additionalProperties": {"type": ["string", "boolean", "integer", "number"]},
    },
    "TensorData": {
        "type": "array",
        "description": "The elements in row-major order, flat or nested.",
        "items": {"type": ["number", "string", "boolean", "array"]},
    },
    "RequestInput": record(
        {
            "name": _TEXT,
            "datatype": {"type": "string", "enum": list(DATATYPES)},
            "shape": listed(_SIZE),
        },
        {
            "data": ref("TensorData"),
            "parameters": {"type": "object", "properties": {"binary_data_size": _SIZE, **_REGION}},
        },
    ),
    "RequestOutput": record(
        {"name": _TEXT},
        {
            "parameters": {
                "type": "object",
                "properties": {"binary_data": _FLAG, "classification": _COUNT, **_REGION},
            }
        },
    ),
    "InferenceRequest": record(
        {"inputs": listed(ref("RequestInput"))},
        {"id": _TEXT, "parameters": ref("Parameters"), "outputs": listed(ref("RequestOutput"))},
    ),
    "ResponseOutput": record(
        {"name": _TEXT, "datatype": _TEXT, "shape": listed(_SIZE)},
        {"data": {"type": "array"}, "parameters": {"type": "object"}},
    ),
    "InferenceResponse": record(
        {"model_name": _TEXT, "model_version": _TEXT, "outputs": listed(ref("ResponseOutput"))},
        {"id": _TEXT, "parameters": {"type": "object"}},
    ),
    "GenerateRequest": {
        "type": "object",
        "description": "Members that are named like inputs of the model are its inputs: a scalar or a flat array. `id` "
        "is the request's; every other member is a parameter.",
        "properties": {"id": _TEXT, "parameters": ref("Parameters")},
    },
    "GenerateResponse": {"type": "object"},
    "ModelStatistics": record(
        {
            "name": _TEXT,
            "version": _TEXT,
            "last_inference": _COUNT,
            "inference_count": _COUNT,
            "execution_count": _COUNT,
            "inference_stats": record(
                dict.fromkeys(("success", "fail", "queue"), _DURATION)
                | _COMPUTE
                | dict.fromkeys(("cache_hit", "cache_miss"), _DURATION)
            ),
            "response_stats": {"type": "object"},
            "batch_stats": listed(record({"batch_size": _COUNT, **_COMPUTE})),
            "memory_usage": listed({"type": "object"}),
        }
    ),
    "Statistics": record({"model_stats": listed(ref("ModelStatistics"))}),
    "IndexRequest": record({}, {"ready": _FLAG}),
    "IndexRow": record(
        {"name": _TEXT},
        {
            "version": _TEXT,
            "state": {"type": "string", "enum": ["UNKNOWN", "READY", "UNAVAILABLE", "LOADING", "UNLOADING"]},
            "reason": _TEXT,
        },
    ),
    "LoadRequest": record(
        {},
        {
            "parameters": {
                "type": "object",
                "description": "`config` is a whole model configuration as JSON text, `file:<path>` a file in base64.",
                "additionalProperties": _TEXT,
            }
        },
    ),
    "UnloadRequest": record({}, {"parameters": record({}, {"unload_dependents": _FLAG})}),
    "SystemRegion": record({"name": _TEXT, "key": _TEXT, "offset": _SIZE, "byte_size": _SIZE}),
    "SystemRegister": record({"key": _TEXT, "byte_size": _SIZE}, {"offset": _SIZE}),
    "CudaRegion": record({"name": _TEXT, "device_id": _SIZE, "byte_size": _SIZE}),
    "CudaRegister": record({"raw_handle": record({"b64": _TEXT}), "device_id": _SIZE, "byte_size": _SIZE}),
    "TraceUpdate": record(
        {},
        {
            "trace_level": {"type": ["array", "null"], "items": {"enum": ["OFF", "TIMESTAMPS", "TENSORS"]}},
            "trace_rate": {"type": ["string", "null"]},
            "trace_count": {"type": ["string", "null"]},
            "log_frequency": {"type": ["string", "null"]},
        },
    ),
    "TraceSettings": record(
        {
            "trace_level": _TEXTS,
            "trace_rate": _TEXT,
            "trace_count": _TEXT,
            "trace_mode": {"type": "string", "enum": ["triton", "opentelemetry"]},
        },
        # The first two in Triton's mode, the others in that of OpenTelemetry.
        dict.fromkeys(
            (
                "log_frequency",
                "trace_file",
                "url",
                "resource",
                "bsp_max_queue_size",
                "bsp_schedule_delay",
                "bsp_max_export_batch_size",
            ),
            _TEXT,
        ),
    ),
    "LogUpdate": record(
        {},
        {
            **dict.fromkeys(("log_info", "log_warning", "log_error"), _FLAG),
            "log_verbose_level": {"type": "integer", "minimum": 0, "maximum": (1 << 32) - 1},
            "log_format": {"type": "string", "enum": ["default", "ISO8601"]},
        },
    ),
    "LogSettings": record(
        {
            "log_file": _TEXT,
            **dict.fromkeys(("log_info", "log_warning", "log_error"), _FLAG),
            "log_verbose_level": _COUNT,
            "log_format": _TEXT,
        }
    ),
}
