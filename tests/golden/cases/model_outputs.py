"""What a model may answer: nothing of it is checked against the config."""

from __future__ import annotations

from tests.golden.case import Case, infer, tensor

_COMMANDS = (
    "declared", "other_dtype", "other_shape", "unknown_output", "nothing", "zero_dim", "zero_dim_text", "zero_size",
    "zero_size_matrix", "zero_size_text", "twice", "backwards", "strided", "column_major", "text_objects",
    "fixed_bytes", "hard_text", "broken_text", "booleans", "hard_floats", "hard_doubles", "limits_of_signed",
    "limits_of_unsigned", "half_output", "small_integers",
)  # fmt: skip

_BINARY = (
    "declared", "zero_dim", "zero_dim_text", "zero_size", "zero_size_text", "strided", "column_major", "text_objects",
    "broken_text", "booleans", "half_output", "nothing",
)  # fmt: skip


def _ask(name: str, command: str, **members: object) -> Case:
    return infer(name, "behave", {"inputs": [tensor("COMMAND", "BYTES", [1], [command])], **members})


CASES = (
    *(_ask(f"output_{command}", command) for command in _COMMANDS),
    *(_ask(f"output_{command}_binary", command, parameters={"binary_data_output": True}) for command in _BINARY),
    _ask("output_requested_but_not_made", "other_dtype", outputs=[{"name": "TEXT"}]),
    _ask("output_unknown_pruned", "unknown_output", outputs=[{"name": "OUT"}]),
    _ask("output_half_asked_in_binary", "half_output", outputs=[{"name": "OUT", "parameters": {"binary_data": True}}]),
)
