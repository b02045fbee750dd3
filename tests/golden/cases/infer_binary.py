"""The binary tensor extension: header lengths, blob lengths, mixtures, and which outputs come back in binary."""

from __future__ import annotations

from tests.golden.case import Case, binary, blob, encoded, floats, infer, post, strings, tensor

_BLOB = floats(1.5, -2)
_INPUT = blob("INPUT0", "FP32", [1, 2], 8)
_HEADER: dict[str, object] = {"inputs": [_INPUT]}
_JSON_INPUT = tensor("INPUT0", "FP32", [1, 2], [1.5, -2])
_PAIR = [blob("A", "FP32", [1, 2], 8), blob("B", "FP32", [1, 2], 8)]


def _identity(name: str, header: object, *blobs: bytes, header_length: str | None = None) -> Case:
    return binary(name, "identity", header, *blobs, header_length=header_length)


def _sized(size: object) -> dict[str, object]:
    return {"inputs": [{**_INPUT, "parameters": {"binary_data_size": size}}]}


def _output(**parameters: object) -> dict[str, object]:
    return {"inputs": [_JSON_INPUT], "outputs": [{"name": "OUTPUT0", "parameters": parameters}]}


_REPRESENTATION = (
    _identity("binary_in_json_out", _HEADER, _BLOB),
    infer("json_in_binary_out", "identity", _output(binary_data=True)),
    infer("json_in_json_out_explicit", "identity", _output(binary_data=False)),
    _identity(
        "binary_with_id",
        {"id": "b1", **_HEADER, "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]},
        _BLOB,
    ),
    infer("binary_data_output", "identity", {"inputs": [_JSON_INPUT], "parameters": {"binary_data_output": True}}),
    infer(
        "binary_data_output_false", "identity", {"inputs": [_JSON_INPUT], "parameters": {"binary_data_output": False}}
    ),
    infer(
        "binary_data_output_and_listed",
        "identity",
        {"inputs": [_JSON_INPUT], "parameters": {"binary_data_output": True}, "outputs": [{"name": "OUTPUT0"}]},
    ),
    infer("binary_data_number", "identity", _output(binary_data=1)),
    infer("binary_data_text", "identity", _output(binary_data="yes")),
    binary("binary_two_inputs", "pair", {"inputs": _PAIR}, floats(3, 4), floats(1, 1)),
    binary("binary_two_inputs_reversed", "pair", {"inputs": _PAIR[::-1]}, floats(1, 1), floats(3, 4)),
    binary("mixed_inputs", "pair", {"inputs": [tensor("A", "FP32", [1, 2], [3, 4]), _PAIR[1]]}, floats(1, 1)),
    binary(
        "mixed_outputs",
        "pair",
        {"inputs": _PAIR, "outputs": [{"name": "SUM", "parameters": {"binary_data": True}}, {"name": "DIFFERENCE"}]},
        floats(3, 4, 1, 1),
    ),
    binary(
        "two_binary_outputs", "pair", {"inputs": _PAIR, "parameters": {"binary_data_output": True}}, floats(3, 4, 1, 1)
    ),
    binary("header_equals_body", "identity", {"inputs": [_JSON_INPUT]}),
    _identity(
        "zero_bytes_in_and_out",
        {"inputs": [blob("INPUT0", "FP32", [1, 0], 0)], "parameters": {"binary_data_output": True}},
    ),
)

_LENGTHS = (
    infer("size_without_header_length", "identity", encoded(_HEADER) + _BLOB),
    infer("size_without_header_length_no_blob", "identity", _HEADER),
    _identity("header_length_zero", {"inputs": [_JSON_INPUT]}, header_length="0"),
    _identity("header_length_too_large", _HEADER, _BLOB, header_length="1000"),
    _identity("header_length_negative", _HEADER, _BLOB, header_length="-1"),
    _identity("header_length_text", _HEADER, _BLOB, header_length="abc"),
    _identity("header_length_trailing_text", _HEADER, _BLOB, header_length=f"{len(encoded(_HEADER))}x"),
    _identity("header_length_empty", _HEADER, _BLOB, header_length=""),
    _identity("header_length_huge", _HEADER, _BLOB, header_length="99999999999999999999"),
    _identity("header_length_cuts_json", _HEADER, _BLOB, header_length="20"),
    _identity("header_length_into_blob", _HEADER, _BLOB, header_length=str(len(encoded(_HEADER)) + 4)),
    _identity("header_length_unknown_model_name", {"inputs": [_JSON_INPUT]}, header_length="9999"),
    binary("header_length_unknown_model", "nobody", _HEADER, _BLOB, header_length="9999"),
    _identity("blob_too_short", _HEADER, _BLOB[:4]),
    _identity("blob_missing", _HEADER),
    _identity("blob_too_long", _HEADER, _BLOB, b"more"),
    _identity("blob_unannounced", {"inputs": [_JSON_INPUT]}, b"more"),
    binary("second_blob_too_short", "pair", {"inputs": _PAIR}, floats(1, 2, 3)),
    binary("second_blob_missing", "pair", {"inputs": _PAIR}, floats(1, 2)),
    _identity("size_smaller_than_shape", _sized(4), _BLOB[:4]),
    _identity("size_larger_than_shape", _sized(12), floats(1, 2, 3)),
    _identity("size_text", _sized("8"), _BLOB),
    _identity("size_negative", _sized(-8), _BLOB),
    _identity("size_float", _sized(8.0), _BLOB),
    _identity("size_null", _sized(None), _BLOB),
    _identity("size_huge", _sized(2**62), _BLOB),
    _identity("size_larger_than_64_bits", _sized(2**64), _BLOB),
    _identity("size_zero_with_shape", _sized(0)),
    _identity("data_and_size", {"inputs": [{**_INPUT, "data": [1, 2]}]}, _BLOB),
    infer("neither_data_nor_size", "identity", {"inputs": [tensor("INPUT0", "FP32", [1, 2])]}),
    infer("empty_input_parameters", "identity", {"inputs": [{**tensor("INPUT0", "FP32", [1, 2]), "parameters": {}}]}),
    post(
        "binary_version",
        "/v2/models/identity/versions/1/infer",
        encoded(_HEADER) + _BLOB,
        headers={"inference-HEADER-content-LENGTH": str(len(encoded(_HEADER)))},
    ),
)


def _text(name: str, shape: list[int], data: bytes) -> Case:
    return binary(f"strings_{name}", "texts", {"inputs": [blob("INPUT0", "BYTES", shape, len(data))]}, data)


_STRINGS = (
    _text("right", [1, 2], strings(b"a", b"bc")),
    _text("batch", [2, 1], strings(b"a", b"bc")),
    _text("too_few", [1, 2], strings(b"a")),
    _text("too_many", [1, 1], strings(b"a", b"b")),
    _text("none", [1, 1], b""),
    _text("truncated_length", [1, 2], strings(b"a") + b"\x01\x00"),
    _text("truncated_length_only", [1, 1], b"\x01\x00"),
    _text("truncated_text", [1, 1], b"\x05\x00\x00\x00ab"),
    _text("huge_length", [1, 1], b"\xff\xff\xff\xffab"),
    _text("empty_tensor", [1, 0], b""),
    _text("empty_tensor_with_bytes", [1, 0], strings(b"a")),
    _text("unicode", [1, 1], strings("é✓".encode())),
)

CASES = (*_REPRESENTATION, *_LENGTHS, *_STRINGS)
