"""Where we answer otherwise than Triton 2.51 on purpose: what we answer, and why. All else that differs is a bug."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_pyserve import __version__
from tests.golden.exchange import Answer

NEWER = "newer Tritons answer like this"
NUMBERS = "the same number: Triton neither reads nor writes all of them exactly"
VERSION = "the version is our own"
FRAMING = "a server answers with its own version of HTTP, and every answer says where it ends"
CLEARER = "what is wrong with the name is said, before a file system is asked for it"
ALL_PROBLEMS = "all that is wrong with a configuration is said at once"
LISTED = "a model without a version to load stays in the index, where its owner looks for it"
QUOTED = "clients quote names, so a quoted name is the name"
WHOLE = "a change of which a part is refused changes nothing"
OTHER_REQUEST = "another request has another answer"
SAME_ANSWER = "an answer that is given again is the same, with its parameters"
ONCE = "a parameter has one value, the one that models read of two"
TENSOR_FIRST = "what is wrong with a tensor is said before its memory is looked for"
SURVIVES = "ends Triton's server"
NO_LIBRARIES = "there is no directory of backend libraries to search"

_REASONS = {400: "Bad Request", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class Difference:
    """Makes our answer from Triton's; only the last of several answers differs."""

    why: str
    ours: Callable[[Answer], Answer]

    def expected(self, triton: list[Answer]) -> list[Answer]:
        return [*triton[:-1], self.ours(triton[-1])]


def _error(why: str, status: int, text: str, content_type: str = "application/json") -> Difference:
    body = json.dumps({"error": text}, ensure_ascii=False, separators=(",", ":"))
    headers = {"content-type": content_type, "content-length": "<right>"}
    answer: Answer = {"status": status, "reason": _REASONS[status], "headers": headers, "body": body}
    return Difference(why, lambda _: answer)


def _text(why: str, triton: str, ours: str) -> Difference:
    return Difference(why, lambda answer: {**answer, "body": answer["body"].replace(triton, ours)})


def _http_1_1(difference: Difference | None = None) -> Difference:
    """`difference` is what else there is."""

    def ours(answer: Answer) -> Answer:
        changed = {**(difference.ours(answer) if difference else answer)}
        del changed["version"]
        return {**changed, "headers": {"connection": "close", **changed["headers"], "content-length": "<right>"}}

    return Difference(FRAMING, ours)


def _index() -> Difference:
    def ours(answer: Answer) -> Answer:
        kept = [{"name": name} for name in ("config_latest_none", "config_no_version_chosen", "no_version")]
        rows = sorted([*json.loads(answer["body"]), *kept], key=lambda row: (row["name"], int(row.get("version", 0))))
        body = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
        return {**answer, "body": body.replace(_SEARCHED, "")}

    return Difference(f"{LISTED}; {NO_LIBRARIES}", ours)


_SEARCHED = " '<backend>'"


def _metadata(answer: Answer) -> Answer:
    return {**answer, "body": answer["body"].replace('"version":"2.51.0"', f'"version":"{__version__}"')}


_VERSION = Difference(VERSION, _metadata)


def _identity(answer: Answer) -> Answer:
    tensor = '"datatype":"FP32","shape":[-1,-1]}]'
    body = (
        '{"name":"identity","versions":["1"],"platform":"python","inputs":[{"name":"INPUT0",'
        f'{tensor},"outputs":[{{"name":"OUTPUT0",{tensor}}}'
    )
    return {**answer, "status": 200, "reason": "OK", "body": body}


def _unparsable_length(text: str) -> Difference:
    return _error(NEWER, 400, f"Unable to parse Inference-Header-Content-Length, got: {text}", "text/plain")


def _unknown(model: str) -> Difference:
    return _error(NEWER, 404, f"Request for unknown model: {model} is not found", "text/plain")


_NO_CLASSES = "class result not available for output due to unsupported type 'BYTES'"
_JSON = {"content-type": "application/json", "content-length": "<right>"}
_GRID = '[{"name":"I_OUT","datatype":"INT16","shape":[1,2],"data":[1,2]}]'


def _answered(outputs: str) -> Answer:
    body = f'{{"model_name":"grids","model_version":"1","outputs":{outputs}}}'
    return {"status": 200, "reason": "OK", "headers": _JSON, "body": body}


_TWO = '"P","datatype":"FP32","shape":[1,2],"data":[-5.0,-5.0]'
_SEQUENCE = '"parameters":{"sequence_id":0,"sequence_start":false,"sequence_end":false},"outputs"'


def _log(*also: str) -> Difference:
    return Difference(ALL_PROBLEMS, lambda answer: {"line": "; ".join([answer["line"][:-1], *also]) + '"'})


def _rpc(code: str, text: str) -> Difference:
    return Difference(NEWER, lambda _: {"code": code, "details": text})


DIFFERENCES: dict[str, Difference] = {
    "server_metadata": _VERSION,
    "server_metadata_with_query": _VERSION,
    "keep_alive": _VERSION,
    "http_1_0": _http_1_1(),
    "http_1_0_keep_alive": _http_1_1(_VERSION),
    "model_ready_unknown": _unknown("'nobody'"),
    "model_ready_never_loaded": _unknown("'code_raises'"),
    "model_ready_unknown_version": _unknown("'identity' version 9"),
    "index_ready_text": _error(NEWER, 400, "Invalid value for 'ready': expected a boolean"),
    "header_length_text": _unparsable_length("abc"),
    "header_length_empty": _unparsable_length(""),
    "header_length_trailing_text": _unparsable_length("98x"),
    "validation_same_output_twice": _error(
        NEWER, 400, "[request id: <id_unknown>] output 'OUTPUT0' already exists in request"
    ),
    "json_shape_huge": _error(
        NEWER,
        400,
        "[request id: <id_unknown>] invalid shape for input 'INPUT0': shape [1,9223372036854775808]"
        " contains one or more invalid dimensions",
    ),
    "validation_shape_beyond_int64": _error(
        NEWER,
        400,
        "[request id: <id_unknown>] invalid shape for input 'INPUT0': shape [9223372036854775808]"
        " contains one or more invalid dimensions",
    ),
    "validation_element_overflow": _error(
        NEWER,
        400,
        "[request id: <id_unknown>] invalid shape for input 'INPUT0': shape [1,4294967296,4294967296]"
        " causes total element count to exceed maximum size of 9223372036854775807",
    ),
    "load_name_dots": _error(
        NEWER, 400, "invalid model name '..', model name must not contain path traversal characters"
    ),
    "load_name_300_characters": _error(
        CLEARER, 400, f"invalid model name '{'n' * 300}', model name must not be longer than 255 bytes"
    ),
    "load_config_unknown_runtime": _text(NO_LIBRARIES, _SEARCHED, ""),
    "route_percent_encoded": Difference(QUOTED, _identity),
    "metadata_name_with_space_encoded": _text(QUOTED, "a%20b", "a b"),
    "load_name_encoded_slash": _error(
        QUOTED, 400, "invalid model name 'a/b', model name must not contain path traversal characters"
    ),
    "load_name_encoded_newline": _error(
        QUOTED, 400, "invalid model name 'a\\nb', model name must not contain control characters"
    ),
    "broken_index": _index(),
    "broken_unload_index": _index(),
    "log_after_refused_half": _text(WHOLE, '"log_warning":false', '"log_warning":true'),
    "forward_and_parameters": _text(ONCE, '\\"X-Foo\\":\\"own\\",', ""),
    "generate_parameter_twice": _text(ONCE, '\\"a\\":1,', ""),
    "kinds_classes_BYTES": _error(SURVIVES, 400, _NO_CLASSES, "text/plain"),
    "kinds_grpc_classes_BYTES": Difference(SURVIVES, lambda _: {"code": "INVALID_ARGUMENT", "details": _NO_CLASSES}),
    "kinds_chunked_extension": Difference(
        "the protocol says that extensions are to be ignored", lambda _: _answered(_GRID)
    ),
    "kinds_chunked_bad_size": Difference(
        "what is wrong is said before the connection is closed",
        lambda _: _error("", 400, "malformed chunked body").ours({}) | {"headers": {"connection": "close", **_JSON}},
    ),
    "kinds_header_length_twice": Difference(
        "a proxy before it may read another of two lengths", lambda _: {"closed": True}
    ),
    "cache_keyed_2": _text(OTHER_REQUEST, '[2,2],"data":[1.0,1.0,1.0,1.0]', '[1,4],"data":[2.0,2.0,2.0,2.0]'),
    "cache_keyed_3": _text(OTHER_REQUEST, "[1.0,1.0,1.0,1.0]", "[3.0,3.0,3.0,3.0]"),
    "cache_two_3": _text(OTHER_REQUEST, '"O","datatype":"FP32","shape":[1,2],"data":[6.0,6.0]', _TWO),
    "cache_whole_2": _text(SAME_ANSWER, '"outputs"', _SEQUENCE),
    "cache_both_2": _text(SAME_ANSWER, '"outputs"', _SEQUENCE),
    "data_fp32": _text(NUMBERS, "-0.0024999999441206457", "-0.0024999999441206455"),
    "data_fp64": _text(NUMBERS, "18446744073709553000.0", "18446744073709552000.0"),
    "data_fp64_long": _text(NUMBERS, "0.30000000000000007", "0.30000000000000004"),
    "grpc_infer_same_output_twice": _rpc(
        "INVALID_ARGUMENT", "[request id: <id_unknown>] output 'OUTPUT0' already exists in request"
    ),
    "grpc_load_nameless": _rpc("INVALID_ARGUMENT", "Model name cannot be empty. Please enter a valid name to deploy."),
    "grpc_modelready_nameless": _rpc("NOT_FOUND", "Request for unknown model: '' is not found"),
    "grpc_modelready_not_loaded": _rpc("NOT_FOUND", "Request for unknown model: 'behave' is not found"),
    "grpc_modelready_unknown": _rpc("NOT_FOUND", "Request for unknown model: 'nobody' is not found"),
    "grpc_modelready_unknown_version": _rpc("NOT_FOUND", "Request for unknown model: 'minimal' version 7 is not found"),
    "shm_input_sizeless": _error(
        TENSOR_FIRST,
        400,
        "[request id: <id_unknown>] input byte size mismatch for input 'I' for model 'copy'. Expected 8, got 0",
    ),
    "scheduled_direct_no_start_text": _error(
        NEWER,
        400,
        "[request id: <id_unknown>] sequence batching control 'ID' data-type is 'BYTES', but model 'direct' expects"
        " 'UINT64'",
    ),
    "configured_ensemble_scheduling_of_another_log": _log(
        "must specify 'input_map' in step 0 of ensemble 'ensemble_scheduling_of_another'",
        "must specify 'output_map' in step 0 of ensemble 'ensemble_scheduling_of_another'",
        "ensemble input 'I' for ensemble ensemble_scheduling_of_another' is not used",
        "ensemble output 'O' for ensemble ensemble_scheduling_of_another' is not used",
    ),
    "configured_control_nameless_log": _log(
        "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' for"
        " CONTROL_SEQUENCE_START for control_nameless"
    ),
    "configured_corrid_values_log": _log(
        "unexpected data type for control CONTROL_SEQUENCE_CORRID for corrid_values. Allowed data types are"
        " TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
    ),
    "configured_ensemble_step_without_inputs_log": _log(
        "ensemble input 'I' for ensemble ensemble_step_without_inputs' is not used"
    ),
    "configured_ensemble_step_without_outputs_log": _log(
        "ensemble output 'O' for ensemble ensemble_step_without_outputs' is not used"
    ),
    "configured_label_above": _error(
        NEWER,
        400,
        "load failed for model 'label_above': version 1 is at UNAVAILABLE state: Unsupported: label file path"
        " '<repository>/label_above/../nobody/labels.txt' for output 'O' in model 'label_above' is outside model"
        " directory;\n",
    ),
    "configured_member_absent": _text(ALL_PROBLEMS, "nobody\\n", "nobody, nobody_either\\n"),
    "output_hard_floats": _text(NUMBERS, "3.4028234663852887e38", "3.4028234663852886e38"),
    "output_hard_doubles": _text(NUMBERS, "12345678901234568000.0", "12345678901234567000.0"),
}
