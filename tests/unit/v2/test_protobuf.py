"""Requests as protobuf messages, read against what the generated classes write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.v2.messages import FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, InferRequest, ShmRef
from jupyter_pyserve.v2.protobuf import decode, length_nbytes, read_infer, split

messages = service_messages()


def message(*raws: bytes, **fields: Any) -> Any:
    """A request for model m with one FP32 input of two elements, unless told otherwise."""
    made = messages.ModelInferRequest(model_name="m", **fields)
    if "inputs" not in fields:
        made.inputs.add(name="IN", datatype="FP32", shape=[2])
    made.raw_input_contents.extend(raws)
    return made


def read(made: Any) -> tuple[InferRequest, bool]:
    data = made.SerializeToString()
    return read_infer(decode(data, split(data)))


def refusal(made: Any) -> str:
    with pytest.raises(PyServeError) as refused:
        read(made)
    assert refused.value.code is Code.INVALID_ARG
    return refused.value.message


# -- taking apart -----------------------------------------------------------------------------------------------------


@given(
    id=st.text(max_size=200),
    version=st.text(max_size=3),
    raws=st.lists(st.binary(max_size=300), max_size=4),
    outputs=st.lists(st.text(max_size=150), max_size=2),
)
def test_head_id_and_contents(id: str, version: str, raws: list[bytes], outputs: list[str]) -> None:  # noqa: A002
    made = message(*raws, id=id, model_version=version)
    for name in outputs:
        made.outputs.add(name=name)
    data = made.SerializeToString()
    taken = split(data)
    assert taken is not None
    assert taken.id.decode() == id
    assert taken.sizes == tuple(map(len, raws))
    at = taken.start
    for index, raw in enumerate(raws):
        at += 1 + length_nbytes(len(raw)) if index else 0
        assert data[at : at + len(raw)] == raw
        at += len(raw)
    alike = messages.ModelInferRequest.FromString(taken.head)
    made.ClearField("id")
    made.ClearField("raw_input_contents")
    assert alike == made


def test_requests_that_differ_in_id_and_contents_have_one_head() -> None:
    first = split(message(b"8 bytes.", id="a").SerializeToString())
    second = split(message(b"", id="bc").SerializeToString())
    assert first is not None
    assert second is not None
    assert first.head == second.head


def test_a_view_is_taken_apart_like_bytes() -> None:
    data = message(b"12345678", id="x").SerializeToString()
    assert split(memoryview(data)) == split(data)


@given(st.binary(max_size=60))
def test_anything_may_come(data: bytes) -> None:
    with contextlib.suppress(PyServeError):
        read_infer(decode(data, split(data)))


@given(st.data())
def test_a_message_that_is_cut_short(data: st.DataObject) -> None:
    whole = message(b"12345678", b"x" * 200, id="mine").SerializeToString()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    taken = split(part)
    assert taken is None or taken.start + sum(taken.sizes) <= len(part)


@pytest.mark.parametrize(
    "shuffle",
    [
        pytest.param(lambda head, raw: raw + head, id="contents first"),
        pytest.param(lambda head, raw: head + raw + b"\x1a\x01x", id="id last"),
        pytest.param(lambda head, raw: b"\x1a\x01y\x1a\x01x" + head + raw, id="two ids"),
        pytest.param(lambda head, raw: head + b"\xfa\x01\x00" + raw, id="unknown field"),
        pytest.param(lambda head, raw: head + b"\x12\x80\x00" + raw, id="long length"),
    ],
)
def test_unusual_messages_are_read_all_the_same(shuffle: Callable[[bytes, bytes], bytes]) -> None:
    data = shuffle(message().SerializeToString(), b"\x3a\x0812345678")
    assert split(data) is None
    request, _ = read_infer(decode(data, None))
    (tensor,) = request.inputs
    assert (tensor.name, tensor.inline) == ("IN", b"12345678")


def test_what_is_no_message() -> None:
    for data in (b"\xff\xff", b"\x0a\x01\xff", b"\x1a\x01\xff"):
        with pytest.raises(PyServeError, match="no ModelInferRequest"):
            decode(data, split(data))


# -- reading ----------------------------------------------------------------------------------------------------------


def test_inputs_outputs_and_controls() -> None:
    made = message(b"12345678", id="mine")
    made.outputs.add(name="OUT")
    made.parameters["sequence_id"].int64_param = -1
    made.parameters["sequence_start"].bool_param = True
    made.parameters["sequence_end"].bool_param = True
    made.parameters["priority"].uint64_param = 3
    made.parameters["timeout"].int64_param = 50
    made.parameters["mood"].string_param = "good"
    made.parameters["half"].double_param = 0.5
    request, empty_final = read(made)
    assert (request.id, [item.name for item in request.outputs]) == ("mine", ["OUT"])
    assert request.correlation_id == 2**64 - 1
    assert request.flags == FLAG_SEQUENCE_START | FLAG_SEQUENCE_END
    assert (request.priority, request.timeout_us) == (3, 50)
    assert request.parameters == {"mood": "good", "half": 0.5}
    assert not empty_final
    made.parameters["triton_enable_empty_final_response"].bool_param = True
    made.parameters["sequence_id"].string_param = "text"
    request, empty_final = read(made)
    assert (request.correlation_id, empty_final) == ("text", True)


def test_contents_lie_one_behind_the_other() -> None:
    made = message(b"12345678", b"x" * 200)
    made.inputs.add(name="MORE", datatype="UINT8", shape=[200])
    data = made.SerializeToString()
    taken = split(data)
    assert taken is not None
    request, _ = read_infer(decode(data, taken))
    body = data[taken.start :]
    assert [body[item.offset : item.offset + item.nbytes] for item in request.inputs] == [b"12345678", b"x" * 200]


def test_a_tensor_in_shared_memory_has_no_contents() -> None:
    made = message(b"12345678")
    made.inputs.add(name="MORE", datatype="FP32", shape=[2])
    region = made.inputs[0].parameters
    region["shared_memory_region"].string_param = "r"
    region["shared_memory_byte_size"].int64_param = 8
    region["shared_memory_offset"].int64_param = 16
    request, _ = read(made)
    assert request.inputs[0].region == ShmRef(region="r", offset=16, nbytes=8)
    assert (request.inputs[1].offset, request.inputs[1].nbytes) == (0, 8)


def _with(change: Callable[[Any], None], *raws: bytes) -> Any:
    made = message(*raws)
    change(made)
    return made


def _parameter(name: str, kind: str, value: Any) -> Callable[[Any], None]:
    return lambda made: setattr(made.parameters[name], kind, value)


def _of_input(name: str, kind: str, value: Any) -> Callable[[Any], None]:
    return lambda made: setattr(made.inputs[0].parameters[name], kind, value)


def _of_output(**parameters: tuple[str, Any]) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        output = made.outputs.add(name="OUT")
        for name, (kind, value) in parameters.items():
            setattr(output.parameters[name], kind, value)

    return change


RESERVED = (
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with "
    "'triton_' are allowed: triton_enable_empty_final_response"
)
REGION = {"shared_memory_region": ("string_param", "r"), "shared_memory_byte_size": ("int64_param", 8)}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            _parameter("sequence_id", "bool_param", True),
            "invalid value type for 'sequence_id' parameter, expected int64_param or string_param.",
        ),
        (
            _parameter("sequence_start", "int64_param", 1),
            "invalid value type for 'sequence_start' parameter, expected bool_param.",
        ),
        (
            _parameter("priority", "string_param", "1"),
            "invalid value type for 'priority' parameter, expected int64_param or uint64_param.",
        ),
        (_parameter("priority", "int64_param", -1), "invalid value for 'priority', expected value >= 0."),
        (
            _parameter("timeout", "uint64_param", 1),
            "invalid value type for 'timeout' parameter, expected int64_param.",
        ),
        (
            _parameter("foo", "uint64_param", 1),
            "invalid value type for 'foo' parameter, expected int64_param, bool_param, or string_param.",
        ),
        (_parameter("triton_x", "int64_param", 1), RESERVED),
        (
            _of_input("shared_memory_region", "string_param", "r"),
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor 'IN'",
        ),
        (
            _of_input("shared_memory_offset", "int64_param", 1),
            "'shared_memory_offset' can not be specified without 'shared_memory_region' parameter for tensor 'IN'",
        ),
        (
            _of_input("shared_memory_region", "int64_param", 1),
            "invalid value type for 'shared_memory_region' parameter for tensor 'IN', expected string_param.",
        ),
        (
            _of_output(classification=("string_param", "1")),
            "invalid value type for 'classification' parameter, expected int64_param",
        ),
        (
            _of_output(classification=("int64_param", 0)),
            "invalid value for 'classification' parameter, expected >= 0",
        ),
        (
            _of_output(classification=("int64_param", 1), **REGION),
            "output can't set both 'shared_memory_region' and 'classification'",
        ),
        (
            lambda made: made.inputs.add(name="IN", datatype="FP32", shape=[2]),
            "[request id: <id_unknown>] input 'IN' already exists in request",
        ),
        (
            lambda made: made.inputs.add(name="MORE", datatype="FP32", shape=[2]),
            "unable to find data for input tensor 'MORE' for model 'm' in request.",
        ),
        (
            lambda made: made.inputs[0].contents.fp32_contents.append(1),
            "contents field must not be specified when using raw_input_contents for 'IN' for model 'm'",
        ),
    ],
)
def test_refusals(change: Callable[[Any], None], text: str) -> None:
    assert refusal(_with(change, b"12345678")) == text


def test_an_unknown_datatype_is_left_to_the_model() -> None:
    made = message(b"12345678")
    made.inputs[0].datatype = "TYPE_FP32"
    request, _ = read(made)
    assert request.inputs[0].datatype == "<invalid>"
