"""Inference over gRPC: where tensors may be, what parameters may say, and what a stream does with what fails."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from tests.golden.case import Case, Json, Rpc, floats, get

OPTIONS = ("--model-control-mode=explicit", "--load-model=*")
MODELS = ("minimal", "identity", "pair", "optional", "every_type", "text", "decoupled", "versions")

_One = Mapping[str, Json]
_F32 = {"contents": {"fp32_contents": [1.5]}}
_RAW = base64.b64encode(floats(1.5)).decode()


def _input(name: str = "INPUT0", datatype: str = "FP32", shape: tuple[int, ...] = (1,), /, **more: Json) -> _One:
    return {"name": name, "datatype": datatype, "shape": [str(dim) for dim in shape], **more}


def _request(*inputs: _One, model: str = "minimal", **more: Json) -> _One:
    return {"model_name": model, "inputs": list(inputs), **more}


def _ask(name: str, request: _One) -> Rpc:
    return Rpc(name=f"grpc_infer_{name}", requests=(request,), stream=False)


def _with(name: str, /, **parameters: Json) -> Rpc:
    """A request with parameters."""
    return _ask(f"parameter_{name}", _request(_input(**_F32), parameters=parameters))


def _input_with(name: str, /, **parameters: Json) -> Rpc:
    """An input with parameters."""
    return _ask(f"input_{name}", _request(_input(parameters=parameters)))


def _output_with(name: str, /, **parameters: Json) -> Rpc:
    """An output with parameters."""
    return _ask(f"output_{name}", _request(_input(**_F32), outputs=[{"name": "OUTPUT0", "parameters": parameters}]))


def _contents(datatype: str, field: str, values: Json) -> Rpc:
    """Elements in one of the typed fields."""
    given = _input(f"INPUT_{datatype}", datatype, (2,), contents={field: values})
    return _ask(f"{datatype}_in_{field}".lower(), _request(given, model="every_type"))


_FLAG, _TEXT, _INT, _FLOAT = {"bool_param": True}, {"string_param": "x"}, {"int64_param": "1"}, {"double_param": 1.5}

_TENSORS = (
    _ask("contents", _request(_input(**_F32))),
    _ask("raw", _request(_input(), raw_input_contents=[_RAW])),
    _ask("both", _request(_input(**_F32), raw_input_contents=[_RAW])),
    _ask("neither", _request(_input())),
    _ask("more_raw", _request(_input(), raw_input_contents=[_RAW, _RAW])),
    _ask("less_raw", _request(_input("A", "FP32", (1, 2)), _input("B", "FP32", (1, 2)), model="pair",
                              raw_input_contents=[base64.b64encode(floats(1, 2)).decode()])),
    _ask("no_inputs", _request()),
    _ask("too_many_inputs", _request(_input(**_F32), _input("B", **_F32))),
    _ask("unknown_input", _request(_input("X", **_F32))),
    _ask("same_input_twice", _request(_input(**_F32), _input(**_F32))),
    _ask("unknown_output", _request(_input(**_F32), outputs=[{"name": "X"}])),
    _ask("same_output_twice", _request(_input(**_F32), outputs=[{"name": "OUTPUT0"}, {"name": "OUTPUT0"}])),
    _ask("datatype", _request(_input("INPUT0", "INT32", contents={"int_contents": [1]}))),
    _ask("datatype_unknown", _request(_input("INPUT0", "FLOAT", **_F32))),
    _ask("datatype_of_contents", _request(_input(contents={"int_contents": [1]}))),
    _ask("two_contents", _request(_input(contents={"fp32_contents": [1.5], "int_contents": [1]}))),
    _ask("rank", _request(_input("INPUT0", "FP32", (1, 1), **_F32))),
    _ask("rank_batched", _request(_input(**_F32), model="identity")),
    _ask("shapeless_batched", _request(_input("INPUT0", "FP32", (), **_F32), model="identity")),
    _ask("batch_too_large", _request(_input("INPUT0", "FP32", (9, 1), contents={"fp32_contents": [1] * 9}),
                                     model="identity")),
    _ask("batches_differ", _request(_input("A", "FP32", (1, 2), contents={"fp32_contents": [1] * 2}),
                                    _input("B", "FP32", (2, 2), contents={"fp32_contents": [1] * 4}), model="pair")),
    _ask("negative_dimension", _request(_input("INPUT0", "FP32", (-1,), **_F32))),
    _ask("too_few_elements", _request(_input("INPUT0", "FP32", (2,), **_F32))),
    _ask("too_few_raw", _request(_input("INPUT0", "FP32", (2,)), raw_input_contents=[_RAW])),
    _ask("optional_only", _request(_input("B", "INT64", contents={"int64_contents": ["1"]}), model="optional")),
    _ask("optional_none", _request(model="optional")),
    _ask("model_unknown", _request(_input(**_F32), model="nobody")),
    _ask("model_nameless", _request(_input(**_F32), model="")),
    _ask("version", _request(_input(**_F32), model="versions", model_version="1")),
    _ask("version_unknown", _request(_input(**_F32), model_version="7")),
    _ask("version_text", _request(_input(**_F32), model_version="x")),
    _ask("version_negative", _request(_input(**_F32), model_version="-1")),
    _ask("decoupled", _request(_input(**_F32), model="decoupled")),
    _ask("id", _request(_input(**_F32), id="own")),
    _ask("id_and_error", _request(_input("INPUT0", "INT32", contents={"int_contents": [1]}), id="own")),
    _ask("strings", _request(_input("INPUT0", "BYTES", contents={"bytes_contents": ["eA=="]}), model="text")),
    _ask("strings_too_few", _request(_input("INPUT0", "BYTES", contents={"bytes_contents": []}), model="text")),
    _ask("strings_too_many", _request(_input("INPUT0", "BYTES", contents={"bytes_contents": ["eA==", "eA=="]}),
                                      model="text")),
    _ask("strings_cut_length", _request(_input("INPUT0", "BYTES"), model="text", raw_input_contents=["AQA="])),
)  # fmt: skip

_TYPES = (
    _contents("BOOL", "bool_contents", [True, False]),
    _contents("INT8", "int_contents", [1, 300]),
    _contents("INT16", "int_contents", [1, 70000]),
    _contents("INT32", "int_contents", [1, -2]),
    _contents("INT64", "int64_contents", ["1", "-2"]),
    _contents("UINT8", "uint_contents", [1, 300]),
    _contents("UINT16", "uint_contents", [1, 70000]),
    _contents("UINT32", "uint_contents", [1, 2]),
    _contents("UINT64", "uint64_contents", ["1", "2"]),
    _contents("FP32", "fp32_contents", [1.5, 2]),
    _contents("FP64", "fp64_contents", [1.5, 2]),
    _contents("FP16", "fp32_contents", [1.5, 2]),
    _contents("BF16", "fp32_contents", [1.5, 2]),
    _contents("INT64", "int_contents", [1, 2]),
    _contents("UINT32", "int_contents", [1, 2]),
    _contents("FP64", "fp32_contents", [1.5, 2]),
    _contents("BOOL", "int_contents", [1, 0]),
)

_PARAMETERS = (
    _with("own_int", foo=_INT),
    _with("own_flag", foo=_FLAG),
    _with("own_text", foo=_TEXT),
    _with("own_float", foo=_FLOAT),
    _with("own_uint64", foo={"uint64_param": "1"}),
    _with("own_unset", foo={}),
    _with("sequence_id_flag", sequence_id=_FLAG),
    _with("sequence_id", sequence_id=_INT),
    _with("sequence_id_text", sequence_id=_TEXT),
    _with("sequence_start_int", sequence_start=_INT),
    _with("sequence_end_int", sequence_end=_INT),
    _with("priority_text", priority=_TEXT),
    _with("priority_negative", priority={"int64_param": "-1"}),
    _with("priority", priority={"uint64_param": "1"}),
    _with("timeout_text", timeout=_TEXT),
    _with("timeout", timeout=_INT),
    _with("reserved", triton_foo=_INT),
    _with("empty_final_int", triton_enable_empty_final_response=_INT),
    _with("empty_final", triton_enable_empty_final_response=_FLAG),
    _with("headers", headers=_TEXT),
    _input_with("region_int", shared_memory_region=_INT),
    _input_with("region_without_size", shared_memory_region=_TEXT),
    _input_with("region_unknown", shared_memory_region=_TEXT, shared_memory_byte_size={"int64_param": "4"}),
    _input_with("region_size_text", shared_memory_region=_TEXT, shared_memory_byte_size=_TEXT),
    _input_with("region_offset_text", shared_memory_region=_TEXT, shared_memory_byte_size=_INT,
                shared_memory_offset=_TEXT),
    _input_with("size_without_region", shared_memory_byte_size=_INT),
    _input_with("offset_without_region", shared_memory_offset=_INT),
    _ask("input_region_and_contents", _request(_input(**_F32, parameters={
        "shared_memory_region": _TEXT, "shared_memory_byte_size": _INT}))),
    _output_with("region_int", shared_memory_region=_INT),
    _output_with("region_without_size", shared_memory_region=_TEXT),
    _output_with("region_unknown", shared_memory_region=_TEXT, shared_memory_byte_size=_INT),
    _output_with("size_without_region", shared_memory_byte_size=_INT),
    _output_with("offset_without_region", shared_memory_offset=_INT),
    _output_with("classes_text", classification=_TEXT),
    _output_with("classes_zero", classification={"int64_param": "0"}),
    _output_with("classes_negative", classification={"int64_param": "-1"}),
    _output_with("classes", classification=_INT),
    _output_with("classes_and_region", classification=_INT, shared_memory_region=_TEXT, shared_memory_byte_size=_INT),
    _output_with("unknown_parameter", foo=_TEXT),
)  # fmt: skip

_GOOD = _request(_input(**_F32), id="good")


def _stream(name: str, /, *requests: _One, metadata: tuple[tuple[str, str], ...] = ()) -> Rpc:
    return Rpc(name=f"grpc_stream_{name}", requests=requests, metadata=metadata)


_STREAMS = (
    _stream("nothing"),
    _stream("two", _GOOD, _GOOD),
    _stream("unknown_model", _request(_input(**_F32), model="nobody", id="bad"), _GOOD),
    _stream("refused", _request(_input("INPUT0", "INT32", contents={"int_contents": [1]}), id="bad"), _GOOD),
    _stream("reserved", _request(_input(**_F32), id="bad", parameters={"triton_foo": _INT}), _GOOD),
    _stream("refused_strictly", _request(_input("X", **_F32), id="bad"), _GOOD,
            metadata=(("triton_grpc_error", "true"),)),
    _stream("empty_final", {**_GOOD, "parameters": {"triton_enable_empty_final_response": _FLAG}}),
)  # fmt: skip

CASES: tuple[Rpc | Case, ...] = (*_TENSORS, *_TYPES, *_PARAMETERS, *_STREAMS, get("grpc_alive", "/v2/health/ready"))
