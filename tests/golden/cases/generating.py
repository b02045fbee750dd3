"""The generate extension: flat JSON in and out, in one piece or as a stream of events."""

from __future__ import annotations

import gzip
from collections.abc import Mapping

from tests.golden.case import Case, Files, Json, encoded, get, http, post, raw

_ECHO = """import json
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.batched = json.loads(args["model_config"])["max_batch_size"] > 0

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        made = [pb_utils.Tensor(item.name() + "_OUT", item.as_numpy()) for item in request.inputs()]
        told = np.array([request.parameters(), request.request_id()], object)
        shapes = np.array([f"{item.name()}{list(item.as_numpy().shape)}" for item in request.inputs()], object)
        made += [pb_utils.Tensor(name, self.shaped(array)) for name, array in (("TOLD", told), ("SHAPES", shapes))]
        return pb_utils.InferenceResponse(made)

    def shaped(self, array):
        return array[None] if self.batched else array
"""

_STREAM = """import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender, count = request.get_response_sender(), int(request.inputs()[0].as_numpy()[0])
            if count > 100:
                raise ValueError("too many")
            for number in range(abs(count)):
                tensors = [
                    pb_utils.Tensor("O", np.full(number, number, np.int32)),
                    pb_utils.Tensor("S", np.array([f"é{number}\\n"], object)),
                ]
                sender.send(pb_utils.InferenceResponse(tensors))
            if count < 0:
                error = pb_utils.TritonError("no \\"more\\"", pb_utils.TritonError.UNAVAILABLE)
                sender.send(pb_utils.InferenceResponse(error=error))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

_FAIL = """import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        error = pb_utils.TritonError("not now", pb_utils.TritonError.NOT_FOUND)
        return [pb_utils.InferenceResponse(error=error) for request in requests]
"""

#: Datatype and dims of each input; an output of the same beside it.
_INPUTS: Mapping[str, tuple[str, str]] = {
    "T": ("TYPE_STRING", "1"), "TS": ("TYPE_STRING", "-1"), "B": ("TYPE_BOOL", "-1"), "I": ("TYPE_INT32", "-1"),
    "I8": ("TYPE_INT8", "-1"), "U8": ("TYPE_UINT8", "-1"), "I64": ("TYPE_INT64", "-1"), "U64": ("TYPE_UINT64", "-1"),
    "F": ("TYPE_FP32", "-1"), "D": ("TYPE_FP64", "-1"), "H": ("TYPE_FP16", "-1"), "G": ("TYPE_BF16", "-1"),
    "FIXED": ("TYPE_INT32", "2, 3"), "ROWS": ("TYPE_INT32", "-1, 3"), "COLUMNS": ("TYPE_INT32", "2, -1"),
    "FREE": ("TYPE_INT32", "-1, -1"),
}  # fmt: skip


def _tensors(kind: str, suffix: str, more: str) -> str:
    return " ".join(
        f'{kind} {{ name: "{name}{suffix}" data_type: {datatype} dims: [ {dims} ] {more} }}'
        for name, (datatype, dims) in _INPUTS.items()
    )


_TOLD = " ".join(f'output {{ name: "{name}" data_type: TYPE_STRING dims: [ -1 ] }}' for name in ("TOLD", "SHAPES"))
_ALL = f'backend: "python" {_tensors("input", "", "optional: true")} {_tensors("output", "_OUT", "")} {_TOLD}'
_PLAIN = 'backend: "python" input { name: "I" data_type: TYPE_INT32 dims: [ 1 ] }'
_SENT = (
    'output { name: "O" data_type: TYPE_INT32 dims: [ -1 ] } output { name: "S" data_type: TYPE_STRING dims: [ 1 ] }'
)

MODELS: Mapping[str, Files] = {
    "echo": {"config.pbtxt": _ALL, "1/model.py": _ECHO},
    "batched": {"config.pbtxt": f"{_ALL} max_batch_size: 4", "1/model.py": _ECHO},
    "stream": {
        "config.pbtxt": f"{_PLAIN} {_SENT} model_transaction_policy {{ decoupled: true }}",
        "1/model.py": _STREAM,
    },
    "fail": {"config.pbtxt": f"{_PLAIN} {_SENT}", "1/model.py": _FAIL},
}


def _ask(name: str, body: Json, model: str = "echo", verb: str = "generate", **headers: str) -> Case:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return post(f"generate_{name}", f"/v2/models/{model}/{verb}", body, headers=named)


def _events(name: str, body: Json, model: str = "stream") -> Case:
    return _ask(f"stream_{name}", body, model, "generate_stream")


_TEXT = {"T": 'é\n"x"'}

_VALUES: Mapping[str, object] = {
    "text": _TEXT,
    "text_in_array": {"T": ["x"]},
    "text_empty": {"T": ""},
    "two_texts_for_one": {"T": ["x", "y"]},
    "texts": {"TS": ["x", "", "y"]},
    "text_for_many": {"TS": "x"},
    "number_for_text": {"T": 1},
    "bool_for_text": {"T": True},
    "null_for_text": {"T": None},
    "object_for_text": {"T": {}},
    "mixed_texts": {"TS": ["x", 1]},
    "number": {"I": 7},
    "numbers": {"I": [1, 2, 3]},
    "empty_array": {"I": []},
    "nested_array": {"I": [[1, 2]]},
    "text_for_number": {"I": "7"},
    "float_for_integer": {"I": 1.5},
    "whole_float_for_integer": {"I": 1.0},
    "bool_for_number": {"I": True},
    "null_for_number": {"I": None},
    "object_for_number": {"I": {"x": 1}},
    "null_in_array": {"I": [None]},
    "bools": {"B": [True, False]},
    "number_for_bool": {"B": 1},
    "byte": {"I8": [-128, 127]},
    "byte_too_large": {"I8": 300},
    "unsigned_negative": {"U8": -1},
    "largest": {"I64": 2**63 - 1, "U64": 2**64 - 1},
    "beyond_largest": {"I64": 2**63},
    "floats": {"F": [0.1, 1, -2e10], "D": [0.1, 1, 1e300]},
    "float_beyond": {"F": 1e39},
    "half": {"H": 1.0},
    "brain": {"G": 1.0},
    "fixed": {"FIXED": [1, 2, 3, 4, 5, 6]},
    "fixed_too_few": {"FIXED": [1, 2, 3, 4, 5]},
    "fixed_twice": {"FIXED": [1] * 12},
    "fixed_nested": {"FIXED": [[1, 2, 3], [4, 5, 6]]},
    "rows": {"ROWS": [1, 2, 3, 4, 5, 6]},
    "rows_uneven": {"ROWS": [1, 2, 3, 4]},
    "columns": {"COLUMNS": [1, 2, 3, 4, 5, 6]},
    "columns_of_one": {"COLUMNS": 1},
    "free": {"FREE": [1, 2, 3]},
    "two_inputs": {"T": "x", "I": [1, 2]},
    "nothing": {},
    "output_name": {"T": "x", "T_OUT": "y"},
}

_ABOUT: Mapping[str, object] = {
    "id": {"T": "x", "id": "my id"},
    "id_number": {"T": "x", "id": 7},
    "id_null": {"T": "x", "id": None},
    "parameter_kinds": {"T": "x", "a": "t", "b": True, "c": -3, "d": 0.5},
    "parameter_large": {"T": "x", "c": 2**63},
    "parameter_array": {"T": "x", "a": [1]},
    "parameter_object": {"T": "x", "a": {"b": 1}},
    "parameter_null": {"T": "x", "a": None},
    "parameters": {"T": "x", "parameters": {"a": 1, "b": "c"}},
    "parameters_empty": {"T": "x", "parameters": {}},
    "parameters_with_input": {"parameters": {"T": "x", "a": 1}},
    "parameters_with_id": {"T": "x", "parameters": {"id": "inner"}},
    "parameters_with_parameters": {"T": "x", "parameters": {"parameters": {"a": 1}}},
    "parameters_text": {"T": "x", "parameters": "a"},
    "parameters_array": {"T": "x", "parameters": []},
    "parameters_null": {"T": "x", "parameters": None},
    "parameter_twice": {"T": "x", "a": 1, "parameters": {"a": 2}},
    "input_twice": {"T": "x", "parameters": {"T": "y"}},
    "reserved": {"T": "x", "timeout": 5, "priority": 1, "sequence_id": 7, "binary_data_output": True},
    "reserved_kinds": {"T": "x", "timeout": "soon", "sequence_start": 1},
    "reserved_prefix": {"T": "x", "triton_enable_empty_final_response": True},
    "empty_key": {"T": "x", "": 1},
}

CASES = (
    *(_ask(name, body) for name, body in _VALUES.items()),
    *(_ask(name, body) for name, body in _ABOUT.items()),
    _ask("no_body", b""),
    _ask("not_json", b"{bad"),
    _ask("array", b"[]"),
    _ask("text_alone", b'"x"'),
    _ask("number_alone", b"1"),
    _ask("null", b"null"),
    _ask("more_after", b'{"T":"x"} {"T":"y"}'),
    _ask("same_key_twice", b'{"T":"x","T":"y"}'),
    _ask("not_finite", b'{"F":[NaN,Infinity]}'),
    _ask("spaced", b' \n{ "T" : "x" } \n'),
    _ask("batched_text", {"T": "x"}, "batched"),
    _ask("batched_numbers", {"I": [1, 2, 3]}, "batched"),
    _ask("batched_fixed", {"FIXED": [1] * 6}, "batched"),
    _ask("batched_fixed_twice", {"FIXED": [1] * 12}, "batched"),
    _ask("batched_rows", {"ROWS": [1] * 6, "T": "x"}, "batched"),
    _ask("batched_free", {"FREE": 1}, "batched"),
    _ask("unknown_model", _TEXT, "nobody"),
    _ask("unknown_model_bad_body", b"{bad", "nobody"),
    _ask("unknown_version", _TEXT, "echo/versions/9"),
    _ask("version", _TEXT, "echo/versions/1"),
    _ask("version_text", _TEXT, "echo/versions/one"),
    get("generate_get", "/v2/models/echo/generate"),
    get("generate_stream_get", "/v2/models/echo/generate_stream"),
    _ask("slash", _TEXT, verb="generate/"),
    _ask("gzip", gzip.compress(encoded(_TEXT), mtime=0), Content_Encoding="gzip"),
    _ask("identity", _TEXT, Content_Encoding="identity"),
    _ask("unknown_encoding", _TEXT, Content_Encoding="br"),
    _ask("accepting_gzip", _TEXT, Accept_Encoding="gzip"),
    _ask("header_length", _TEXT, Inference_Header_Content_Length="3"),
    _ask("accepting_events", _TEXT, Accept="text/event-stream"),
    raw("generate_then", http("POST", "/v2/models/echo/generate", encoded(_TEXT)), then=http("GET", "/v2/health/live")),
    _ask("of_failing", {"I": 1}, "fail"),
    _ask("of_one", {"I": 1}, "stream"),
    _ask("of_none", {"I": 0}, "stream"),
    _ask("of_two", {"I": 2}, "stream"),
    _ask("of_error", {"I": -1}, "stream"),
    _events("nothing", {"I": 0}),
    _events("single", {"I": 1}),
    _events("three", {"I": 3}),
    _events("three_with_id", {"I": 3, "id": "named"}),
    _events("error_later", {"I": -2}),
    _events("failing", {"I": 101}),
    _events("missing_input", {}),
    _events("text_for_number", {"I": "x"}),
    _events("no_body", b""),
    _events("not_json", b"{bad"),
    _events("of_plain_model", _TEXT, "echo"),
    _events("of_failing", {"I": 1}, "fail"),
    _events("unknown_model", _TEXT, "nobody"),
    _events("version", {"I": 1}, "stream/versions/1"),
    raw(
        "generate_stream_then",
        http("POST", "/v2/models/stream/generate_stream", encoded({"I": 2})),
        then=http("GET", "/v2/health/live"),
    ),
)
