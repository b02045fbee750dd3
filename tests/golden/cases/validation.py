"""Requests that do not fit the model's signature, and the order in which that is noticed."""

from __future__ import annotations

from collections.abc import Sequence

from tests.golden.case import Case, binary, blob, floats, infer, tensor


def _ask(name: str, model: str, *inputs: dict[str, object], **members: object) -> Case:
    return infer(f"validation_{name}", model, {"inputs": list(inputs), **members})


def _input0(shape: Sequence[int], count: int, datatype: str = "FP32") -> dict[str, object]:
    return tensor("INPUT0", datatype, shape, [0] * count)


def _named(name: str, shape: Sequence[int] = (1, 2), count: int = 2) -> dict[str, object]:
    return tensor(name, "FP32", shape, [0] * count)


_WHOLE = tensor("A", "INT64", [1], [5])

CASES = (
    _ask("unknown_input", "identity", _named("INPUT9")),
    _ask("unknown_input_besides", "identity", _input0([1, 2], 2), _named("INPUT9")),
    _ask("unknown_output", "identity", _input0([1, 2], 2), outputs=[{"name": "OUTPUT9"}]),
    _ask("unknown_output_with_id", "identity", _input0([1, 2], 2), outputs=[{"name": "OUTPUT9"}], id="q"),
    _ask("same_output_twice", "identity", _input0([1, 2], 2), outputs=[{"name": "OUTPUT0"}] * 2),
    _ask("same_input_twice", "identity", _input0([1, 2], 2), _input0([1, 2], 2)),
    _ask("same_input_twice_for_two", "pair", _named("A"), _named("A")),
    _ask("no_inputs", "identity"),
    _ask("no_inputs_with_id", "identity", id="seven"),
    _ask("missing_input", "pair", _named("A")),
    _ask("missing_both", "pair"),
    _ask("optional_absent", "optional", _WHOLE),
    _ask("optional_given", "optional", _WHOLE, tensor("B", "INT64", [1], [6])),
    _ask("optional_alone", "optional", tensor("B", "INT64", [1], [6])),
    _ask("optional_none", "optional"),
    _ask("input_for_no_tensors", "no_tensors", _named("INPUT0")),
    _ask("datatype", "identity", _input0([1, 2], 2, "INT32")),
    _ask("datatype_with_id", "identity", _input0([1, 2], 2, "INT32"), id="a b"),
    _ask("datatype_bytes", "identity", tensor("INPUT0", "BYTES", [1, 2], ["a", "b"])),
    _ask("datatype_second_input", "pair", _named("A"), tensor("B", "FP64", [1, 2], [0, 0])),
    _ask("rank_low", "identity", _input0([2], 2)),
    _ask("rank_high", "identity", _input0([1, 1, 2], 2)),
    _ask("rank_zero", "identity", _input0([], 1)),
    _ask("rank_zero_not_batched", "minimal", _input0([], 1)),
    _ask("shape_fixed", "matrix", _input0([4], 4)),
    _ask("shape_fixed_other", "matrix", _input0([2, 3], 6)),
    _ask("shape_fixed_right", "matrix", _input0([2, 2], 4)),
    _ask("shape_grid", "grid", _input0([1, 1], 1, "INT32")),
    _ask("shape_dim_of_pair", "pair", _named("A", (1, 3), 3), _named("B", (1, 3), 3)),
    _ask("shape_reshaped", "reshaped", _input0([1, 2], 2)),
    _ask("shape_reshaped_scalar", "reshaped", _input0([1], 1)),
    _ask("batch_largest", "identity", _input0([8, 1], 8)),
    _ask("batch_too_large", "identity", _input0([9, 1], 9)),
    _ask("batch_too_large_with_id", "identity", _input0([9, 1], 9), id="nine"),
    _ask("batch_zero", "identity", _input0([0, 2], 0)),
    _ask("batch_zero_second", "pair", _named("A", (0, 2), 0), _named("B", (0, 2), 0)),
    _ask("batch_differs", "pair", _named("A"), _named("B", (2, 2), 4)),
    _ask("zero_elements", "identity", _input0([1, 0], 0)),
    _ask("zero_elements_not_batched", "minimal", _input0([0], 0)),
    _ask("output_before_input", "identity", _input0([9, 1], 9, "INT32"), outputs=[{"name": "OUTPUT9"}]),
    _ask("count_before_datatype", "pair", tensor("A", "INT32", [1, 2], [0, 0])),
    _ask("batch_before_datatype", "identity", _input0([9, 1], 9, "INT32")),
    _ask("datatype_before_shape", "identity", _input0([2], 2, "INT32")),
    _ask("shape_of_first_input_first", "pair", _named("A", (1, 3), 3), tensor("B", "INT32", [1, 2], [0, 0])),
    binary("validation_byte_size", "identity", {"inputs": [blob("INPUT0", "FP32", [1, 2], 4)]}, floats(1)),
    binary(
        "validation_byte_size_with_id",
        "identity",
        {"id": "i", "inputs": [blob("INPUT0", "FP32", [1, 2], 4)]},
        floats(1),
    ),
    binary("validation_shape_before_byte_size", "identity", {"inputs": [blob("INPUT0", "FP32", [2], 4)]}, floats(1)),
    binary(
        "validation_element_overflow", "grid", {"inputs": [blob("INPUT0", "INT32", [1, 2**32, 2**32], 4)]}, floats(1)
    ),
    binary("validation_shape_beyond_int64", "minimal", {"inputs": [blob("INPUT0", "FP32", [2**63], 4)]}, floats(1)),
)
