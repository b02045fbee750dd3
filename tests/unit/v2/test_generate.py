from __future__ import annotations

import json
import math
import struct
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.v2.generate import parse_generate, render_generate
from jupyter_pyserve.v2.messages import InferRequest, OutputValue

FIT = "The schema can not convert input '{}' to tensor with proper shape"
INVALID_TYPE = "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'."
NOT_OBJECT = "Expected JSON object for keyword: 'parameters': attempt to access JSON non-object as object"


def signature(max_batch_size: int = 0, **inputs: tuple[str, str]) -> Signature:
    known = inputs or {"TEXT": ("STRING", "1"), "N": ("INT32", "1"), "V": ("FP32", "2, -1, 3"), "B": ("BOOL", "-1")}
    entries = "".join(
        f'input {{ name: "{name}" data_type: TYPE_{kind} dims: [ {dims} ] }}' for name, (kind, dims) in known.items()
    )
    text = f'backend: "python" max_batch_size: {max_batch_size} {entries}'
    return Signature.from_config(parse_pbtxt(text, model_name="m", path="config.pbtxt"))


def read(body: str, **options: Any) -> InferRequest:
    return parse_generate(body.encode(), signature(), **options)


def refusal(body: str) -> tuple[Code, str]:
    with pytest.raises(PyServeError) as caught:
        read(body)
    return caught.value.code, caught.value.message


def test_members_become_inputs_or_parameters() -> None:
    request = read('{"TEXT":"hi","a":1,"b":true,"c":1.5,"d":"s","N":[7]}')
    assert [(item.name, item.shape, item.inline) for item in request.inputs] == [
        ("TEXT", (1,), b"\2\0\0\0hi"),
        ("N", (1,), struct.pack("<i", 7)),
    ]
    assert request.parameters == {"a": 1, "b": True, "c": 1.5, "d": "s"}


def test_the_id_is_a_parameter_too() -> None:
    request = read('{"id":"me","TEXT":"hi"}')
    assert (request.id, request.parameters) == ("me", {"id": "me"})


def test_nested_parameters_are_flattened() -> None:
    request = read('{"parameters":{"N":3,"q":2,"id":"in"},"p":1}')
    assert [item.name for item in request.inputs] == ["N"]
    assert (request.id, request.parameters) == ("", {"q": 2, "id": "in", "p": 1})


def test_nothing_controls_the_server() -> None:
    text = '{"sequence_id":4,"sequence_start":true,"timeout":7,"priority":3,"triton_x":true,"binary_data_output":true}'
    request = read(text)
    assert (request.correlation_id, request.flags, request.timeout_us, request.priority) == (0, 0, 0, 0)
    assert list(request.parameters) == [
        "sequence_id",
        "sequence_start",
        "timeout",
        "priority",
        "triton_x",
        "binary_data_output",
    ]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ('{"V":[1,2,3,4,5,6]}', (2, 1, 3)),
        ('{"V":[1,2,3,4,5,6,1,2,3,4,5,6]}', (2, 2, 3)),
        ('{"V":[]}', (2, 0, 3)),
        ('{"B":true}', (1,)),
        ('{"B":[true,false]}', (2,)),
        ('{"B":[]}', (0,)),
        ('{"TEXT":[["a"]]}', (1,)),
    ],
)
def test_shapes_follow_from_the_models(body: str, shape: tuple[int, ...]) -> None:
    assert read(body).inputs[0].shape == shape


@pytest.mark.parametrize(("dims", "shape"), [("-1", (1, 4)), ("2", (2, 2)), ("1, 4", (1, 1, 4)), ("-1, 2", (1, 2, 2))])
def test_a_batch_has_one_row_unless_nothing_else_is_free(dims: str, shape: tuple[int, ...]) -> None:
    (item,) = parse_generate(b'{"X":[1,2,3,4]}', signature(4, X=("FP32", dims))).inputs
    assert item.shape == shape


@pytest.mark.parametrize(("dims", "shape"), [("-1, -1", (1, 6)), ("-1, 3, -1, 1", (1, 3, 2, 1))])
def test_the_innermost_free_dimension_takes_all(dims: str, shape: tuple[int, ...]) -> None:
    (item,) = parse_generate(b'{"X":[1,2,3,4,5,6]}', signature(X=("INT8", dims))).inputs
    assert item.shape == shape


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ('{"TEXT":["a","b"]}', Code.INVALID_ARG, FIT.format("TEXT")),
        ('{"TEXT":[]}', Code.INVALID_ARG, FIT.format("TEXT")),
        ('{"V":[1,2,3,4,5]}', Code.INVALID_ARG, FIT.format("V")),
        ('{"V":1}', Code.INVALID_ARG, FIT.format("V")),
        ('{"TEXT":3}', Code.INTERNAL, "Unable to parse JSON bytes array: attempt to access JSON non-string as string"),
        (
            '{"TEXT":null}',
            Code.INTERNAL,
            "Unable to parse JSON bytes array: attempt to access JSON non-string as string",
        ),
        (
            '{"N":"x"}',
            Code.INTERNAL,
            "Unable to parse 'data': attempt to access JSON non-signed-integer as signed-integer",
        ),
        ('{"B":1}', Code.INTERNAL, "Unable to parse 'data': attempt to access JSON non-boolean as boolean"),
        ('{"N":[[1,2]]}', Code.INTERNAL, "Unable to parse 'data': Shape does not match true shape of 'data' field"),
        ('{"x":[1]}', Code.INVALID_ARG, INVALID_TYPE),
        ('{"x":{"a":1}}', Code.INVALID_ARG, INVALID_TYPE),
        ('{"x":null}', Code.INVALID_ARG, INVALID_TYPE),
        ('{"parameters":{"x":[1]}}', Code.INVALID_ARG, f"Converting keyword: 'parameters': {INVALID_TYPE}"),
        ('{"id":4}', Code.INTERNAL, "Unable to parse 'id': attempt to access JSON non-string as string"),
        ('{"parameters":3}', Code.INTERNAL, NOT_OBJECT),
        ('{"parameters":null}', Code.INTERNAL, NOT_OBJECT),
        ("[]", Code.INTERNAL, "attempt to get members for non-object"),
        ("3", Code.INTERNAL, "attempt to get members for non-object"),
        ("", Code.INTERNAL, "failed to parse the request JSON buffer: The document is empty. at 0"),
        (
            '{"c":1e400}',
            Code.INTERNAL,
            "failed to parse the request JSON buffer: Number too big to be stored in double. at 5",
        ),
        (
            '{"TEXT":"a","TEXT":"b"}',
            Code.INVALID_ARG,
            "[request id: <id_unknown>] input 'TEXT' already exists in request",
        ),
        (
            '{"id":"me","N":1,"parameters":{"N":2}}',
            Code.INVALID_ARG,
            "Converting keyword: 'parameters': [request id: me] input 'N' already exists in request",
        ),
    ],
)
def test_refusals(body: str, code: Code, text: str) -> None:
    assert refusal(body) == (code, text)


@pytest.mark.parametrize(
    ("last", "name"), [('"N":2,"TEXT":"b"', "N"), ('"TEXT":"b","N":2', "TEXT"), ('"N":2,"N":3', "N")]
)
def test_the_first_that_is_repeated_is_named(last: str, name: str) -> None:
    text = f"[request id: me] input '{name}' already exists in request"
    assert refusal(f'{{"id":"me","TEXT":"a","N":1,{last}}}') == (Code.INVALID_ARG, text)


def test_a_name_may_stand_elsewhere_too() -> None:
    request = read('{"TEXT":"TEXT","y":"TEXT"}')
    assert request.inputs[0].inline == b"\4\0\0\0TEXT"


def test_a_body_has_a_limit() -> None:
    with pytest.raises(PyServeError, match="exceeds the maximum allowed"):
        read('{"TEXT":"' + "x" * 100 + '"}', max_json_bytes=50)


def value(name: str, datatype: str, shape: tuple[int, ...], data: bytes) -> OutputValue:
    return OutputValue(name=name, datatype=datatype, shape=shape, data=memoryview(data), binary=False)


def test_a_response_is_sorted_and_flat() -> None:
    outputs = [
        value("b", "INT32", (2,), struct.pack("<2i", 1, 2)),
        value("a", "BYTES", (1, 1), b"\2\0\0\0hi"),
        value("z", "FP32", (0,), b""),
        value("i", "FP32", (), struct.pack("<f", math.inf)),
    ]
    text = render_generate(model_name="m", version="1", id="me", outputs=outputs, parameters={"c": True})
    assert text == (b'{"a":"hi","b":[1,2],"c":true,"i":Infinity,"id":"me","model_name":"m","model_version":"1","z":[]}')


def test_ids_are_not_remembered() -> None:
    class Id(str):  # noqa: SLOT000 - it shows whether anybody holds it
        pass

    mine = Id("me")
    held = weakref.ref(mine)
    assert b'"id":"me"' in render_generate(model_name="m", version="1", id=mine, outputs=[])
    del mine
    assert held() is None


def test_a_response_without_id_has_none() -> None:
    assert render_generate(model_name="m", version="1", id="", outputs=[]) == b'{"model_name":"m","model_version":"1"}'


@given(st.text(), st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=5))
def test_what_was_sent_comes_back(text: str, numbers: list[int]) -> None:
    if any(0xD800 <= ord(character) < 0xE000 for character in text):
        return
    made = signature(TEXT=("STRING", "1"), N=("INT32", "-1"))
    request = parse_generate(json.dumps({"TEXT": text, "N": numbers}).encode(), made)
    outputs = [value(item.name, item.datatype, item.shape, item.inline or b"") for item in request.inputs]
    answer = json.loads(render_generate(model_name="m", version="1", id="", outputs=outputs))
    assert (answer["TEXT"], answer["N"]) == (text, numbers)


def test_many_members_are_compared_in_one_pass() -> None:
    others = ",".join(f'"p{number}":1' for number in range(200_000))
    text = f'{{"N":1,{others},"N":2}}'
    with pytest.raises(PyServeError, match="input 'N' already exists"):
        parse_generate(text.encode(), signature(N=("INT8", "1")))
