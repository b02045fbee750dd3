"""Inputs and outputs that models see in other shapes than clients do."""

from __future__ import annotations

from tests.golden.case import binary, blob, floats, infer, tensor

_VALUES = list(range(24))
_INPUT = tensor("INPUT0", "FP32", [1, 4, 3, 2], _VALUES)

CASES = (
    infer("reshaping_shape", "reshaping", {"inputs": [_INPUT]}),
    infer("reshaping_batch", "reshaping", {"inputs": [tensor("INPUT0", "FP32", [3, 4, 1, 2], _VALUES)]}),
    infer("reshaping_scalar", "reshaping", {"inputs": [_INPUT, tensor("SCALAR", "FP32", [1, 1], [5])]}),
    infer("reshaping_wrong_input", "reshaping", {"inputs": [tensor("INPUT0", "FP32", [1, 2, 2, 3, 1, 2], _VALUES)]}),
    infer("reshaping_wrong_output", "reshaping", {"parameters": {"flat": 1}, "inputs": [_INPUT]}),
    binary(
        "reshaping_binary",
        "reshaping",
        {"parameters": {"binary_data_output": True}, "inputs": [blob("INPUT0", "FP32", [1, 4, 3, 2], 96)]},
        floats(*_VALUES),
    ),
)
