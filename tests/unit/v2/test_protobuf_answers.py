from __future__ import annotations

import json
from typing import Any

import pytest
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.v2.protobuf_answers import (
    FINAL,
    Answers,
    bare_response,
    parameter,
    parameter_fields,
    request_id_field,
    stream_error,
    stream_head,
    stream_response,
    varint,
)

messages = service_messages()


def written(answers: Answers, *tensors: tuple[str, str, tuple[int, ...], bytes], **rest: bytes) -> Any:
    metas = tuple(TensorMeta(name, CODES[datatype], shape) for name, datatype, shape, _ in tensors)
    views = [memoryview(data) for *_, data in tensors]
    pieces = answers.pieces(rest.get("id", b""), encode_layout(metas), metas, views, rest.get("parameters", b""))
    return messages.ModelInferResponse.FromString(b"".join(pieces))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (False, "bool"),
        (0, "int64"),
        (-3, "int64"),
        (1 << 62, "int64"),
        (0.5, "double"),
        ("é", "string"),
    ],
)
def test_a_parameter(value: Any, kind: str) -> None:
    found = messages.ModelInferResponse.FromString(parameter("p", value)).parameters["p"]
    assert found.WhichOneof("parameter_choice") == f"{kind}_param"
    assert getattr(found, f"{kind}_param") == value


def test_a_whole_response() -> None:
    parameters = parameter_fields(json.dumps({"a": True, "b": -3, "c": 0.5, "d": "é"}).encode())
    found = written(
        Answers("m", "7"),
        ("OUT", "FP32", (2, 300), bytes(2400)),
        ("TEXT", "BYTES", (), b"\x01\0\0\0x"),
        ("NONE", "INT8", (0,), b""),
        id=request_id_field(b"mine"),
        parameters=parameters,
    )
    assert (found.model_name, found.model_version, found.id) == ("m", "7", "mine")
    assert [(item.name, item.datatype, list(item.shape)) for item in found.outputs] == [
        ("OUT", "FP32", [2, 300]),
        ("TEXT", "BYTES", []),
        ("NONE", "INT8", [0]),
    ]
    assert list(found.raw_output_contents) == [bytes(2400), b"\x01\0\0\0x", b""]
    assert found.parameters["a"].bool_param is True
    assert found.parameters["b"].int64_param == -3
    assert found.parameters["c"].double_param == 0.5
    assert found.parameters["d"].string_param == "é"


def test_strings_of_one_shape_and_different_lengths() -> None:
    answers = Answers("m", "1")
    for data in (b"\x01\0\0\0x", b"\x05\0\0\0xxxxx", b"\x01\0\0\0y"):
        assert list(written(answers, ("OUT", "BYTES", (1,), data)).raw_output_contents) == [data]


def test_no_output_at_all() -> None:
    assert len(written(Answers("m", "1")).outputs) == 0


@pytest.mark.parametrize("final", [True, False])
def test_a_response_in_a_stream(final: bool) -> None:
    pieces = Answers("m", "1").pieces(b"", encode_layout(()), (), [], FINAL[final])
    message = b"".join(pieces)
    found = messages.ModelStreamInferResponse.FromString(stream_head(len(message)) + message)
    assert found.error_message == ""
    assert found.infer_response.model_name == "m"
    assert found.infer_response.parameters["triton_final_response"].bool_param is final


def test_a_failure_in_a_stream() -> None:
    told = bare_response("m", "3", request_id=b"mine", own=FINAL[True])
    found = messages.ModelStreamInferResponse.FromString(stream_error("no", told))
    assert (found.error_message, found.infer_response.id, found.infer_response.model_version) == ("no", "mine", "3")
    assert found.infer_response.parameters["triton_final_response"].bool_param


def test_nothing_but_the_end() -> None:
    found = messages.ModelStreamInferResponse.FromString(stream_response(bare_response("m", own=FINAL[True])))
    assert (found.infer_response.model_version, found.infer_response.id) == ("", "")


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**64 - 1])
def test_numbers(number: int) -> None:
    message = messages.ModelInferRequest.InferInputTensor(shape=[number if number < 2**63 else number - 2**64])
    assert message.SerializeToString() == b"\x1a" + varint(len(varint(number))) + varint(number)
