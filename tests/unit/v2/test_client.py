from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.arrays import Array
from jupyter_pyserve.v2.client import decode_infer_response, encode_infer_request, encode_request, lane_facts
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.infer import InferRequest, OutputRef, OutputValue, parse_infer, render_response
from tests.unit.v2.echo import outcome

DTYPES = [row.numpy for row in TABLE.values() if row.numpy and row.name != "BF16"]
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(np.dtype(dtype), SHAPES))
STRINGS = hnp.arrays(np.dtype(object), SHAPES, elements=st.binary(max_size=5), fill=st.nothing())
INPUTS = st.dictionaries(st.text(max_size=6), NUMBERS | STRINGS, max_size=3)


def parsed(header: bytes, blobs: list[memoryview]) -> tuple[InferRequest, bytes]:
    body = b"".join((header, *blobs))
    return parse_infer(header, body_nbytes=len(body), header_nbytes=len(header), model_name="m"), body


def echoed(header: bytes, blobs: list[memoryview], *, binary: bool) -> tuple[bytes, int | None]:
    request, body = parsed(header, blobs)
    outputs = [
        OutputValue(
            name=ref.name,
            datatype=ref.datatype,
            shape=ref.shape,
            data=memoryview(body)[ref.offset : ref.offset + ref.nbytes],
            binary=binary,
        )
        for ref in request.inputs
    ]
    head, follows = render_response(model_name="m", version="1", id=request.id, outputs=outputs)
    tail = b"".join(output.data for output in outputs if binary and output.data is not None)
    return head + tail, len(head) if follows else None


def same(left: dict[str, Array], right: dict[str, Array]) -> bool:
    return left.keys() == right.keys() and all(
        left[name].shape == right[name].shape and left[name].tolist() == right[name].tolist() for name in left
    )


@given(INPUTS)
def test_decoding_an_echo_gives_what_was_encoded(inputs: dict[str, Array]) -> None:
    body, length = echoed(*encode_infer_request(inputs), binary=True)
    decoded = decode_infer_response(memoryview(body), length)
    assert decoded.keys() == inputs.keys()
    for name, array in inputs.items():
        assert decoded[name].dtype == array.dtype
        assert decoded[name].shape == array.shape
        if array.dtype == object:
            assert decoded[name].tolist() == array.tolist()
        else:
            assert decoded[name].tobytes() == array.tobytes()


@given(
    st.dictionaries(
        st.text(max_size=6),
        st.sampled_from([row.numpy for row in TABLE.values() if row.numpy and row.itemsize != 2]).flatmap(
            lambda dtype: hnp.arrays(np.dtype(dtype), SHAPES, elements={"allow_nan": False} if "f" in dtype else None)
        )
        | STRINGS,
        max_size=3,
    )
)
def test_the_same_through_json(inputs: dict[str, Array]) -> None:
    body, length = echoed(*encode_infer_request(inputs), binary=False)
    assert length is None
    assert same(decode_infer_response(memoryview(body), None), inputs)


def test_what_a_request_says() -> None:
    header, blobs = encode_infer_request(
        {"I": np.array([[1, 2]], "<i4")},
        ["O"],
        "r1",
        {"temperature": 0.5},
        correlation_id=5,
        flags=1,
        priority=2,
        timeout_us=3,
    )
    request, body = parsed(header, blobs)
    assert body[len(header) :] == b"\1\0\0\0\2\0\0\0"
    assert (request.id, request.parameters, request.flags) == ("r1", {"temperature": 0.5}, 1)
    assert (request.correlation_id, request.priority, request.timeout_us) == (5, 2, 3)
    assert [(output.name, output.binary) for output in request.outputs] == [("O", True)]


def test_all_outputs_are_asked_for_in_binary_form() -> None:
    request, _ = parsed(*encode_infer_request({}))
    assert request.outputs == ()
    assert request.binary_data_output


def test_a_datatype_that_the_array_does_not_tell() -> None:
    bits = {"I": np.array([0x3FC0], np.uint16)}
    assert b'"datatype":"BF16"' in encode_infer_request(bits, datatypes={"I": "BF16"})[0]
    with pytest.raises(PyServeError, match="invalid datatype for input I"):
        encode_infer_request(bits, datatypes={"I": "FLOAT"})


def test_an_output_in_shared_memory_is_not_among_the_arrays() -> None:
    body = b'{"outputs":[{"name":"O","datatype":"FP32","shape":[1]}]}'
    assert decode_infer_response(memoryview(body), None) == {}


def response(*outputs: object) -> bytes:
    return json.dumps({"outputs": outputs}).encode()


GOOD: dict[str, Any] = {"name": "O", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"outputs":5}',
        response(5),
        response({}),
        response(GOOD),
        response(GOOD | {"datatype": "FLOAT"}),
        response(GOOD | {"datatype": []}),
        response(GOOD | {"shape": [-1]}),
        response(GOOD | {"shape": 5}),
        response(GOOD | {"name": 5, "parameters": {"binary_data_size": 0}, "shape": [0]}),
        response(GOOD | {"parameters": {"binary_data_size": -1}}),
        response(GOOD | {"parameters": {}, "data": None}),
        response(GOOD | {"parameters": {}, "data": 5}),
        response(GOOD | {"parameters": {}, "data": ["x"]}),
    ],
)
def test_what_is_no_response(body: bytes) -> None:
    with pytest.raises(PyServeError) as caught:
        decode_infer_response(memoryview(body), None)
    assert caught.value.code is Code.INTERNAL


@pytest.mark.parametrize("length", [-1, 3])
def test_a_header_length_that_the_body_does_not_have(length: int) -> None:
    with pytest.raises(PyServeError):
        decode_infer_response(memoryview(b"{}"), length)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    result = outcome(lambda: decode_infer_response(memoryview(body), None))
    assert isinstance(result, dict) or result.code is Code.INTERNAL


@pytest.mark.parametrize(
    ("parameters", "facts"),
    [
        ({}, {"flags": 0, "parameters": {}}),
        ({"mine": 1}, {"flags": 0, "parameters": {"mine": 1}}),
        ({"sequence_id": 7, "sequence_start": True}, {"correlation_id": 7, "flags": 1, "parameters": {}}),
        ({"sequence_id": "a", "sequence_end": True}, {"correlation_id": "a", "flags": 2, "parameters": {}}),
        (
            {"sequence_start": True, "sequence_end": True, "priority": 2, "timeout": 5, "mine": "x"},
            {"flags": 3, "priority": 2, "timeout_us": 5, "parameters": {"mine": "x"}},
        ),
    ],
)
def test_controls_are_parameters_on_a_lane_too(parameters: dict[str, Any], facts: dict[str, Any]) -> None:
    given = dict(parameters)
    assert lane_facts(parameters) == facts
    assert parameters == given


def test_a_parsed_request_is_encoded_as_it_was() -> None:
    inputs = {"A": np.zeros((2, 3), np.float32), "B": np.array([b"x"], object)}
    options: dict[str, Any] = {"correlation_id": "s", "flags": 1, "priority": 2, "timeout_us": 3}
    header, blobs = encode_infer_request(inputs, ("OUT",), "r", {"colour": "red"}, **options)
    request, _ = parsed(header, blobs)
    again, _ = parsed(encode_request(request), blobs)
    assert [(item.name, item.datatype, item.shape, item.nbytes) for item in again.inputs] == [
        (item.name, item.datatype, item.shape, item.nbytes) for item in request.inputs
    ]
    assert dataclasses.replace(again, inputs=()) == dataclasses.replace(request, inputs=())
    classified = dataclasses.replace(request, outputs=(OutputRef(name="OUT", binary=True, classification=3),))
    (output,) = json.loads(encode_request(classified))["outputs"]
    assert output == {"name": "OUT", "parameters": {"binary_data": True, "classification": 3}}
