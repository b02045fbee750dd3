"""Tensor data written in JSON: which JSON values each datatype takes, and how they are rounded or cut."""

from __future__ import annotations

from tests.golden.case import Case, infer


def _data(name: str, datatype: str, count: int, data: str) -> Case:
    tensor = f'{{"name":"INPUT_{datatype}","datatype":"{datatype}","shape":[{count}],"data":{data}}}'
    return infer(f"data_{name}", "every_type", f'{{"inputs":[{tensor}]}}')


CASES = (
    _data("bool", "BOOL", 2, "[true,false]"),
    _data("bool_number", "BOOL", 2, "[1,0]"),
    _data("bool_text", "BOOL", 1, '["true"]'),
    _data("uint8", "UINT8", 3, "[0,1,255]"),
    _data("uint8_wraps", "UINT8", 2, "[256,511]"),
    _data("uint8_negative", "UINT8", 1, "[-1]"),
    _data("uint8_float", "UINT8", 1, "[1.0]"),
    _data("uint8_text", "UINT8", 1, '["1"]'),
    _data("uint8_bool", "UINT8", 1, "[true]"),
    _data("uint8_null", "UINT8", 1, "[null]"),
    _data("uint16", "UINT16", 2, "[65535,65536]"),
    _data("uint32", "UINT32", 2, "[4294967295,4294967296]"),
    _data("uint64", "UINT64", 2, "[0,18446744073709551615]"),
    _data("uint64_too_large", "UINT64", 1, "[18446744073709551616]"),
    _data("int8", "INT8", 2, "[-128,127]"),
    _data("int8_wraps", "INT8", 2, "[128,-129]"),
    _data("int8_float", "INT8", 1, "[1.5]"),
    _data("int8_bool", "INT8", 1, "[false]"),
    _data("int16_wraps", "INT16", 2, "[32768,-32769]"),
    _data("int32", "INT32", 2, "[-2147483648,2147483647]"),
    _data("int32_wraps", "INT32", 1, "[2147483648]"),
    _data("int64", "INT64", 2, "[-9223372036854775808,9223372036854775807]"),
    _data("int64_too_large", "INT64", 1, "[9223372036854775808]"),
    _data("int64_exponent", "INT64", 1, "[1e3]"),
    _data("fp16", "FP16", 1, "[1.0]"),
    _data("bf16", "BF16", 1, "[1.0]"),
    _data("fp32", "FP32", 4, "[0.1,1,-2.5e-3,16777217]"),
    _data("fp32_overflow", "FP32", 2, "[1e39,-1e39]"),
    _data("fp32_underflow", "FP32", 1, "[1e-50]"),
    _data("fp32_not_finite", "FP32", 3, "[NaN,Infinity,-Infinity]"),
    _data("fp32_inf", "FP32", 2, "[Inf,-Inf]"),
    _data("fp32_negative_nan", "FP32", 1, "[-NaN]"),
    _data("fp32_lower_case_nan", "FP32", 1, "[nan]"),
    _data("fp32_negative_zero", "FP32", 2, "[-0,-0.0]"),
    _data("fp32_bool", "FP32", 1, "[true]"),
    _data("fp32_text", "FP32", 1, '["1"]'),
    _data("fp32_null", "FP32", 1, "[null]"),
    _data("fp32_object", "FP32", 1, "[{}]"),
    _data("fp64", "FP64", 4, "[0.1,1e300,18446744073709551616,-7]"),
    _data("fp64_long", "FP64", 2, "[0.30000000000000004,3.141592653589793238462643383279]"),
    _data("bytes", "BYTES", 3, '["","text","é✓😀"]'),
    _data("bytes_escapes", "BYTES", 2, '["\\u0000\\n\\"\\\\\\/","\\ud83d\\ude00"]'),
    _data("bytes_number", "BYTES", 1, "[1]"),
    _data("bytes_null", "BYTES", 1, "[null]"),
    _data("bytes_bool", "BYTES", 1, "[true]"),
    _data("bytes_nested", "BYTES", 2, '[["a"],["b"]]'),
    _data("bytes_too_few", "BYTES", 2, '["a"]'),
    _data("bytes_too_many", "BYTES", 1, '["a","b"]'),
    _data("empty", "FP32", 0, "[]"),
    _data("empty_bytes", "BYTES", 0, "[]"),
    _data("empty_nested", "FP32", 0, "[[],[]]"),
    _data("empty_fp16", "FP16", 0, "[]"),
)
