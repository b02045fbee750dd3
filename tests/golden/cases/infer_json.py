"""Inference requests in JSON: what is there, what is missing, what has the wrong type, what is not JSON."""

from __future__ import annotations

from tests.golden.case import Case, infer, post, tensor

_ONE = tensor("INPUT0", "FP32", [1, 2], [1.5, 2])
_PAIR = [tensor("A", "FP32", [1, 2], [3, 4]), tensor("B", "FP32", [1, 2], [1, 1])]


def _identity(name: str, body: object) -> Case:
    return infer(name, "identity", body)


def _without(member: str) -> dict[str, object]:
    return {"inputs": [{key: value for key, value in _ONE.items() if key != member}]}


def _with(**members: object) -> dict[str, object]:
    return {"inputs": [{**_ONE, **members}]}


_VALID = (
    _identity("json_plain", {"inputs": [_ONE]}),
    _identity("json_id", {"id": "abc", "inputs": [_ONE]}),
    _identity("json_id_empty", {"id": "", "inputs": [_ONE]}),
    _identity(
        "json_id_escaped",
        '{"id":"\\"\\u00e9\\n✓","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,1],"data":[1]}]}',
    ),
    _identity("json_spaces", ' {\n "inputs" : [ {"name":"INPUT0","datatype":"FP32","shape":[1,1],"data":[1]} ]\t}\r\n'),
    _identity("json_unknown_members", {"what": {"ever": [1]}, "inputs": [{**_ONE, "colour": "red"}]}),
    _identity("json_nested_data", _with(shape=[2, 2], data=[[1, 2], [3, 4]])),
    _identity("json_oddly_nested_data", _with(shape=[2, 2], data=[[[1], 2, 3], 4])),
    _identity("json_batch", _with(shape=[8, 1], data=list(range(8)))),
    _identity("json_zero_elements", _with(shape=[1, 0], data=[])),
    _identity("json_outputs_empty", {"inputs": [_ONE], "outputs": []}),
    _identity("json_outputs_named", {"inputs": [_ONE], "outputs": [{"name": "OUTPUT0"}]}),
    _identity("json_output_parameters_empty", {"inputs": [_ONE], "outputs": [{"name": "OUTPUT0", "parameters": {}}]}),
    _identity(
        "json_output_unknown_parameter", {"inputs": [_ONE], "outputs": [{"name": "OUTPUT0", "parameters": {"x": 1}}]}
    ),
    _identity("json_input_unknown_parameter", _with(parameters={"x": 1})),
    post("json_version", "/v2/models/versions/versions/3/infer", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    post("json_version_latest", "/v2/models/versions/infer", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    infer("json_two_outputs", "pair", {"inputs": _PAIR}),
    infer("json_one_of_two_outputs", "pair", {"inputs": _PAIR, "outputs": [{"name": "SUM"}]}),
    infer(
        "json_outputs_in_other_order", "pair", {"inputs": _PAIR, "outputs": [{"name": "SUM"}, {"name": "DIFFERENCE"}]}
    ),
    infer("json_inputs_in_other_order", "pair", {"inputs": _PAIR[::-1]}),
    infer("json_reshaped", "reshaped", {"inputs": [tensor("INPUT0", "FP32", [3, 1], [1, 2, 3])]}),
    infer("json_auto_completed", "auto_complete", {"inputs": [tensor("INPUT0", "INT32", [1, 2], [1, 2])]}),
    infer("json_no_tensors", "no_tensors", {"inputs": []}),
    infer("json_async", "async_execute", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    infer("json_async_raises", "async_execute", {"inputs": [tensor("INPUT0", "FP32", [1], [-1])]}),
)

_WRONG = (
    _identity("json_inputs_missing", {"id": "x"}),
    _identity("json_inputs_null", {"inputs": None}),
    _identity("json_inputs_object", {"inputs": {}}),
    _identity("json_inputs_text", {"inputs": "INPUT0"}),
    _identity("json_input_number", {"inputs": [1]}),
    _identity("json_input_null", {"inputs": [None]}),
    _identity("json_name_missing", _without("name")),
    _identity("json_datatype_missing", _without("datatype")),
    _identity("json_shape_missing", _without("shape")),
    _identity("json_data_missing", _without("data")),
    _identity("json_name_number", _with(name=1)),
    _identity("json_name_empty", _with(name="")),
    _identity("json_datatype_number", _with(datatype=32)),
    _identity("json_datatype_unknown", _with(datatype="FP31")),
    _identity("json_datatype_lower_case", _with(datatype="fp32")),
    _identity("json_datatype_string", _with(datatype="STRING")),
    _identity("json_datatype_config_spelling", _with(datatype="TYPE_FP32")),
    _identity("json_shape_number", _with(shape=2)),
    _identity("json_shape_text", _with(shape="[1,2]")),
    _identity("json_shape_of_text", _with(shape=["1", "2"])),
    _identity("json_shape_of_floats", _with(shape=[1.0, 2.0])),
    _identity("json_shape_negative", _with(shape=[1, -1])),
    _identity("json_shape_null", _with(shape=None)),
    _identity("json_shape_huge", _with(shape=[1, 2**63])),
    _identity("json_shape_larger", _with(shape=[1, 2**64])),
    _identity("json_data_scalar", _with(data=1)),
    _identity("json_data_null", _with(data=None)),
    _identity("json_data_text", _with(data="1.5,2")),
    _identity("json_data_object", _with(data={})),
    _identity("json_data_too_few", _with(data=[1])),
    _identity("json_data_too_many", _with(data=[1, 2, 3])),
    _identity("json_data_empty", _with(data=[])),
    _identity("json_data_too_many_nested", _with(data=[[1, 2], [3]])),
    _identity("json_parameters_of_input_text", _with(parameters="x")),
    _identity("json_id_number", {"id": 7, "inputs": [_ONE]}),
    _identity("json_id_null", {"id": None, "inputs": [_ONE]}),
    _identity("json_outputs_object", {"inputs": [_ONE], "outputs": {}}),
    _identity("json_outputs_null", {"inputs": [_ONE], "outputs": None}),
    _identity("json_output_nameless", {"inputs": [_ONE], "outputs": [{}]}),
    _identity("json_output_name_number", {"inputs": [_ONE], "outputs": [{"name": 1}]}),
    _identity("json_output_text", {"inputs": [_ONE], "outputs": ["OUTPUT0"]}),
    _identity("json_output_parameters_text", {"inputs": [_ONE], "outputs": [{"name": "OUTPUT0", "parameters": "x"}]}),
    infer("json_unknown_model", "nobody", {"inputs": [_ONE]}),
    infer("json_never_loaded_model", "code_raises", {"inputs": [_ONE]}),
    post("json_unknown_version", "/v2/models/identity/versions/7/infer", {"inputs": [_ONE]}),
    post("json_version_too_large", "/v2/models/identity/versions/99999999999999999999/infer", {"inputs": [_ONE]}),
    post("json_version_text", "/v2/models/identity/versions/one/infer", {"inputs": [_ONE]}),
    infer("json_unknown_model_bad_json", "nobody", "{bad"),
    infer("json_decoupled_model", "decoupled", {"inputs": [tensor("INPUT0", "FP32", [1], [1])]}),
    infer("json_decoupled_model_bad_json", "decoupled", "{bad"),
)

_NOT_JSON = {
    "bare_brace": "{",
    "bad_name": "{bad",
    "missing_colon": '{"id" 1}',
    "missing_comma": '{"id":"a" "inputs":[]}',
    "missing_bracket": '{"inputs":[1',
    "missing_comma_in_array": '{"inputs":[1 2]}',
    "trailing_comma_in_object": '{"inputs":[],}',
    "trailing_comma_in_array": '{"inputs":[1,]}',
    "trailing_text": '{"inputs":[]} x',
    "two_roots": "{}{}",
    "unterminated_text": '{"id":"abc',
    "bad_escape": '{"id":"\\q"}',
    "bad_unicode_escape": '{"id":"\\u12g4"}',
    "lone_surrogate": '{"id":"\\ud800"}',
    "control_character_in_text": '{"id":"a\nb"}',
    "bad_literal_true": '{"id":tru}',
    "bad_literal_null": '{"id":nul}',
    "bad_number": '{"id":-}',
    "bad_fraction": '{"id":1.}',
    "bad_exponent": '{"id":1e}',
    "number_too_big": '{"id":1e400}',
    "leading_zero": '{"id":01}',
    "leading_plus": '{"id":+1}',
    "comment": "{/* */}",
    "single_quotes": "{'id':1}",
    "only_space": "   ",
    "word": "hello",
    "array_root": "[]",
    "number_root": "1",
    "text_root": '"text"',
    "null_root": "null",
    "byte_order_mark": "\ufeff{}",
}

CASES = (
    *_VALID,
    *_WRONG,
    *(_identity(f"not_json_{name}", text) for name, text in _NOT_JSON.items()),
    _identity("not_json_nul_byte", b'{"id":"\x00"}'),
    _identity("not_json_binary", b"\x00\x01\x02\x03"),
    _identity(
        "json_invalid_utf8_id", b'{"id":"\xff","inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,1],"data":[1]}]}'
    ),
)
