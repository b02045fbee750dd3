"""Models that fail while executing; the server goes on."""

from __future__ import annotations

from tests.golden.case import Case, get, infer, tensor

_COMMANDS = (
    "value_error", "bare_value_error", "custom_error", "key_error", "chained", "nested", "quoted", "system_exit",
    "keyboard_interrupt", "model_exception", "raised_triton_error", "syntax_error", "return_tuple", "return_response",
    "return_dict", "return_text", "return_nothing_in_list", "return_too_many", "return_text_element",
    "return_tensor_element", "error_default", "error_unknown", "error_internal", "error_not_found", "error_invalid_arg",
    "error_unavailable", "error_unsupported", "error_already_exists", "error_cancelled", "error_empty",
    "error_with_outputs", "complex_tensor", "unicode_tensor", "big_endian_tensor", "nameless_tensor",
    "empty_output_tensor", "there_is_no_such_command",
)  # fmt: skip


def _ask(name: str, command: str, **members: object) -> Case:
    return infer(name, "behave", {"inputs": [tensor("COMMAND", "BYTES", [1], [command])], **members})


CASES = (
    *(_ask(f"failing_{command}", command) for command in _COMMANDS),
    _ask("failing_with_id", "value_error", id="lost"),
    _ask("failing_binary_output", "value_error", parameters={"binary_data_output": True}),
    _ask("failing_then_works", "declared"),
    infer("failing_without_execute", "no_execute", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    get("failing_without_execute_ready", "/v2/models/no_execute/ready"),
    get("failing_server_still_ready", "/v2/health/ready"),
)
