"""Request parameters: the reserved ones, the model's own, and what the model sees of a request."""

from __future__ import annotations

from tests.golden.case import Case, infer, post, tensor


def _ask(name: str, command: str, parameters: object = None, **members: object) -> Case:
    body: dict[str, object] = {"inputs": [tensor("COMMAND", "BYTES", [1], [command])], **members}
    if parameters is not None:
        body["parameters"] = parameters
    return infer(f"parameters_{name}", "behave", body)


CASES = (
    _ask("none", "parameters"),
    _ask("empty", "parameters", {}),
    _ask("text", "parameters", {"foo": "x"}),
    _ask("text_escaped", "parameters", {"foo": '"\\\né✓'}),
    _ask("integer", "parameters", {"n": 7}),
    _ask("negative", "parameters", {"n": -7}),
    _ask("largest", "parameters", {"n": 2**63 - 1}),
    _ask("larger", "parameters", {"n": 2**63}),
    _ask("double", "parameters", {"x": 0.5}),
    _ask("integral_double", "parameters", {"x": 2.0}),
    _ask("bool", "parameters", {"yes": True, "no": False}),
    _ask("several", "parameters", {"b": 1, "a": "2", "c": True}),
    _ask("empty_key", "parameters", {"": 1}),
    _ask("headers_key", "parameters", {"headers": "x"}),
    _ask("array", "parameters", {"x": [1]}),
    _ask("object", "parameters", {"x": {}}),
    _ask("null", "parameters", {"x": None}),
    _ask("not_an_object", "parameters", [1]),
    _ask("not_an_object_text", "parameters", "x"),
    _ask("reserved_prefix", "parameters", {"triton_x": 1}),
    _ask("reserved_consumed", "parameters", {"priority": 0, "timeout": 5, "binary_data_output": False, "mine": 1}),
    _ask("sequence_consumed", "parameters", {"sequence_id": 3, "sequence_start": True, "sequence_end": False}),
    _ask("priority_text", "parameters", {"priority": "high"}),
    _ask("priority_negative", "parameters", {"priority": -1}),
    _ask("priority_unknown", "parameters", {"priority": 99}),
    _ask("timeout", "timeout", {"timeout": 123456789}),
    _ask("timeout_absent", "timeout"),
    _ask("timeout_text", "timeout", {"timeout": "1"}),
    _ask("timeout_float", "timeout", {"timeout": 1.5}),
    _ask("sequence_id", "correlation_id", {"sequence_id": 7}),
    _ask("sequence_id_text", "correlation_id", {"sequence_id": "seven"}),
    _ask("sequence_id_absent", "correlation_id"),
    _ask("sequence_id_negative", "correlation_id", {"sequence_id": -1}),
    _ask("sequence_id_float", "correlation_id", {"sequence_id": 1.5}),
    _ask("sequence_id_bool", "correlation_id", {"sequence_id": True}),
    _ask("sequence_flags_start", "flags", {"sequence_start": True}),
    _ask("sequence_flags_both", "flags", {"sequence_start": True, "sequence_end": True}),
    _ask("sequence_start_number", "flags", {"sequence_start": 1}),
    _ask("sequence_end_text", "flags", {"sequence_end": "yes"}),
    _ask("binary_data_output_text", "flags", {"binary_data_output": "yes"}),
    _ask("request_id", "request_id", id="the id"),
    _ask("request_id_absent", "request_id"),
    _ask("requested_all", "requested"),
    _ask("requested_one", "requested", outputs=[{"name": "TEXT"}]),
    _ask("cancelled", "cancelled"),
    _ask("inputs", "inputs"),
    _ask("model_dir", "model_dir"),
    *(
        post(f"arguments_{name}", "/v2/models/args/infer", {"inputs": [tensor("KEY", "BYTES", [1, 1], [key])]})
        for name, key in {
            "keys": "*",
            "model_config": "model_config",
            "kind": "model_instance_kind",
            "instance_name": "model_instance_name",
            "device_id": "model_instance_device_id",
            "repository": "model_repository",
            "version": "model_version",
            "model_name": "model_name",
        }.items()
    ),
)
