"""Raw requests: the whole body is the one input's data."""

from __future__ import annotations

from tests.golden.case import Case, floats, infer

_RAW = {"Inference-Header-Content-Length": "0"}


def _raw(name: str, model: str, body: bytes) -> Case:
    return infer(f"raw_{name}", model, body, headers=_RAW)


CASES = (
    _raw("minimal", "minimal", floats(1, 2, 3)),
    _raw("batched", "identity", floats(1, 2)),
    _raw("fixed_shape", "matrix", floats(1, 2, 3, 4)),
    _raw("fixed_shape_too_short", "matrix", floats(1, 2, 3)),
    _raw("fixed_shape_too_long", "matrix", floats(1, 2, 3, 4, 5)),
    _raw("one_dynamic_of_two", "row", b"\x01\x00\x00\x00" * 6),
    _raw("one_dynamic_uneven", "row", b"\x01\x00\x00\x00" * 5),
    _raw("part_of_an_element", "minimal", b"\x00" * 6),
    _raw("two_dynamic", "grid", b"\x00" * 16),
    _raw("two_inputs", "pair", floats(1, 2)),
    _raw("no_inputs", "no_tensors", b""),
    _raw("optional_inputs", "optional", b"\x01" + b"\x00" * 7),
    _raw("text", "text", b"any \x00 bytes"),
    _raw("text_batched", "texts", b"any bytes"),
    _raw("empty_text", "text", b""),
    _raw("reshaped", "reshaped", floats(5)),
    infer("raw_empty_body", "minimal", b""),
    infer("raw_empty_body_text", "text", b""),
    infer("raw_empty_body_batched", "identity", b""),
    infer("raw_empty_body_two_inputs", "pair", b""),
    infer("raw_json_body", "text", b'{"inputs":[]}', headers=_RAW),
    infer("raw_unknown_model", "nobody", floats(1), headers=_RAW),
)
