from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.limits import MAX_TENSORS
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef, ShmRef
from jupyter_pyserve.v2.parse import parse_infer
from tests.unit.v2.echo import outcome


def parse(header: bytes, blobs: int = 0, *, binary: bool = True, limit: int = 64 << 20) -> InferRequest:
    return parse_infer(
        header,
        body_nbytes=len(header) + blobs,
        header_nbytes=len(header) if binary else None,
        model_name="m",
        max_json_bytes=limit,
    )


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "I", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]} | changes


def request(*inputs: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"inputs": inputs, **members}).encode()


def refusal(header: bytes, blobs: int = 0, **options: Any) -> PyServeError:
    with pytest.raises(PyServeError) as caught:
        parse(header, blobs, **options)
    return caught.value


def blob(name: str, nbytes: int, **changes: Any) -> dict[str, Any]:
    given = tensor(name=name, parameters={"binary_data_size": nbytes}, **changes)
    del given["data"]
    return given


def test_everything_that_a_request_can_say() -> None:
    header = request(
        blob("A", 8),
        tensor(name="J", shape=[2], data=[1.5, [2]]),
        blob("B", 3, datatype="BYTES", shape=[0]),
        id="r1",
        parameters={
            "sequence_id": 7,
            "sequence_start": True,
            "sequence_end": True,
            "priority": 2,
            "timeout": 9,
            "binary_data_output": True,
            "temperature": 0.5,
        },
        outputs=[
            {"name": "X", "parameters": {"binary_data": True}},
            {"name": "Y", "parameters": {"classification": 3}},
        ],
    )
    start = len(header)
    assert parse(header, 11) == InferRequest(
        id="r1",
        parameters={"temperature": 0.5},
        priority=2,
        timeout_us=9,
        correlation_id=7,
        flags=3,
        inputs=(
            InputRef(name="A", datatype="FP32", shape=(1, 2), offset=start, nbytes=8),
            InputRef(name="J", datatype="FP32", shape=(2,), offset=0, nbytes=8, inline=b"\0\0\xc0\x3f\0\0\0\x40"),
            InputRef(name="B", datatype="BYTES", shape=(0,), offset=start + 8, nbytes=3),
        ),
        outputs=(OutputRef(name="X", binary=True), OutputRef(name="Y", classification=3)),
        binary_data_output=True,
    )


def test_shared_memory_on_both_sides() -> None:
    where = {"shared_memory_region": "r", "shared_memory_byte_size": 8, "shared_memory_offset": 4}
    given = tensor(parameters=where)
    del given["data"]
    parsed = parse(request(given, outputs=[{"name": "O", "parameters": where}]))
    region = ShmRef(region="r", offset=4, nbytes=8)
    assert parsed.inputs[0].region == region
    assert parsed.inputs[0].nbytes == 8
    assert parsed.outputs == (OutputRef(name="O", region=region),)


def test_equal_arguments_give_equal_requests() -> None:
    header = request(tensor())
    assert parse(header) == parse(header)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([2**63], "invalid shape for input 'I': shape [9223372036854775808] contains one or more invalid dimensions"),
        ([2**64 - 1, 0], "shape [18446744073709551615,0] contains one or more invalid dimensions"),
        ([2**32, 2**31], "causes total element count to exceed maximum size of 9223372036854775807"),
        ([2**62, 2, 2**31], "causes total element count to exceed maximum size of 9223372036854775807"),
        ([4, 2**60 + 2], "byte size overflow for input 'I'"),
    ],
)
def test_shapes_that_do_not_fit_64_bits(shape: list[int], text: str) -> None:
    error = refusal(request(tensor(shape=shape, data=[1]), id="q"))
    assert error.code is Code.INVALID_ARG
    assert error.message.startswith("[request id: q] ")
    assert text in error.message


@pytest.mark.parametrize("shape", [[-1], [2**64], [1.5], ["1"], [True]])
def test_dimensions_that_are_no_sizes(shape: list[Any]) -> None:
    error = refusal(request(tensor(shape=shape)))
    assert error.code is Code.INTERNAL
    assert error.message == ("Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer")


def test_a_huge_shape_without_its_data_costs_nothing() -> None:
    assert "Shape does not match" in refusal(request(tensor(shape=[2**40], data=[1])), limit=2**50).message


def test_the_size_limit_holds_for_json_and_for_tensors_from_json() -> None:
    header = request(tensor(shape=[300], data=[0] * 300))
    assert refusal(header, limit=len(header) - 1).message == (
        f"request JSON size of {len(header)} bytes exceeds the maximum allowed input size of {len(header) - 1} bytes. "
        "Use --http-max-input-size to increase the limit."
    )
    assert refusal(header, limit=1199).message == (
        "JSON input 'I' has a byte_size (1200 bytes) that exceeds the maximum allowed value of 1199 bytes. "
        "Use --http-max-input-size to increase the limit."
    )
    assert parse(header, limit=1200).inputs[0].nbytes == 1200


def test_binary_tensors_are_not_under_the_json_limit() -> None:
    header = request(blob("A", 10**9))
    assert parse(header, 10**9, limit=len(header)).inputs[0].nbytes == 10**9


@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_more_tensors_than_any_model_has(kind: str) -> None:
    header = json.dumps({"inputs": [], kind: [{"name": "x"}] * (MAX_TENSORS + 1)}).encode()
    assert refusal(header).code is Code.INVALID_ARG


def test_an_output_twice() -> None:
    error = refusal(request(tensor(), outputs=[{"name": "O"}, {"name": "O"}], id="a"))
    assert (error.code, error.message) == (Code.INVALID_ARG, "[request id: a] output 'O' already exists in request")


@pytest.mark.parametrize("value", ["1e999", "-1e999", "9" * 400, "9" * 5000])
@pytest.mark.parametrize("other", ["0", "Infinity"])
def test_numbers_beyond_a_double(value: str, other: str) -> None:
    text = '{"id":"1e999","inputs":[{"name":"I","datatype":"FP64","shape":[2],"data":[' + f"{other},{value}]}}]}}"
    error = refusal(text.encode())
    assert error.message == (
        f"failed to parse the request JSON buffer: Number too big to be stored in double. at {text.rindex(value)}"
    )


def test_infinity_is_a_number() -> None:
    parsed = parse(b'{"id":"1e999","inputs":[{"name":"I","datatype":"FP64","shape":[1],"data":[-Infinity]}]}')
    assert parsed.inputs[0].inline == b"\0\0\0\0\0\0\xf0\xff"


def test_a_header_length_that_the_body_does_not_have() -> None:
    with pytest.raises(PyServeError) as caught:
        parse_infer(b"{}", body_nbytes=2, header_nbytes=3, model_name="m")
    assert caught.value.message == "inference header size should be in range (0, 2), got: 3"


JSON_TEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "data", "x"]), inner),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["I", "J", 5]),
        "datatype": st.sampled_from(["FP32", "UINT8", "INT64", "BOOL", "BYTES", "FP16", "nope", None]),
        "shape": st.lists(st.integers(-1, 4) | st.sampled_from([2**31, 2**63, 2**64]), max_size=3) | JSON_TEXTS,
        "data": JSON_TEXTS,
        "parameters": st.dictionaries(
            st.sampled_from(["binary_data_size", "shared_memory_region", "shared_memory_offset", "binary_data"]),
            st.integers(-1, 40) | JSON_TEXTS,
            max_size=2,
        ),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=3) | JSON_TEXTS},
    optional={
        "id": JSON_TEXTS,
        "outputs": st.lists(TENSORS, max_size=3) | JSON_TEXTS,
        "parameters": st.dictionaries(
            st.sampled_from(["sequence_id", "priority", "timeout", "triton_x", "y"]), JSON_TEXTS, max_size=3
        ),
    },
)


@given(st.binary(max_size=200), st.integers(0, 50))
def test_any_bytes_parse_or_are_refused(header: bytes, blobs: int) -> None:
    result = outcome(lambda: parse(header, blobs))
    assert isinstance(result, InferRequest) or result.code in (Code.INTERNAL, Code.INVALID_ARG)


@given(REQUESTS, st.integers(0, 50), st.integers(0, 400), st.binary(max_size=3))
def test_almost_requests_parse_or_are_refused(members: Any, blobs: int, at: int, noise: bytes) -> None:
    header = json.dumps(members).encode()
    for text in (header, header[:at] + noise + header[at:]):
        result = outcome(functools.partial(parse, text, blobs))
        if isinstance(result, PyServeError):
            assert result.code in (Code.INTERNAL, Code.INVALID_ARG)
        else:
            assert sum(ref.nbytes for ref in result.inputs if ref.inline is None and ref.region is None) == blobs
