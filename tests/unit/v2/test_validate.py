from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef
from jupyter_pyserve.v2.tensors import pack_elements
from jupyter_pyserve.v2.validate import batch_size, check_bytes, element_count, validate
from tests.unit.v2.echo import outcome, signature

BATCHED = signature("m", 8, I=("FP32", (-1,)))
PLAIN = signature("m", 0, I=("FP32", (2, 2)))
STRINGS = signature("m", 0, I=("BYTES", (-1,)))
REQUEST = InferRequest(
    id="q", parameters={}, inputs=(InputRef(name="I", datatype="FP32", shape=(2, 3), offset=0, nbytes=24),)
)


def with_input(**changes: object) -> InferRequest:
    tensor = dataclasses.replace(REQUEST.inputs[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(REQUEST, inputs=(tensor,))


def refusal(request: InferRequest, model: object = BATCHED) -> str:
    with pytest.raises(PyServeError) as caught:
        validate(request, model)  # type: ignore[arg-type]
    assert caught.value.code is Code.INVALID_ARG
    return caught.value.message


def test_a_request_that_suits_the_model() -> None:
    validate(REQUEST, BATCHED)
    assert batch_size(REQUEST, BATCHED) == 2
    assert element_count(REQUEST.inputs[0], BATCHED) == 6


def test_without_batching_a_request_is_one_inference() -> None:
    request = with_input(shape=(2, 2), nbytes=16)
    validate(request, PLAIN)
    assert batch_size(request, PLAIN) == 1
    assert batch_size(dataclasses.replace(REQUEST, inputs=()), BATCHED) == 1


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (with_input(name="X"), "unexpected inference input 'X' for model 'm'"),
        (
            dataclasses.replace(REQUEST, outputs=(OutputRef(name="Z"),)),
            "unexpected inference output 'Z' for model 'm'",
        ),
        (with_input(shape=()), "[request id: q] input 'I' has no shape but model requires batch dimension for 'm'"),
        (with_input(shape=(9, 1)), "[request id: q] inference request batch-size must be <= 8 for 'm'"),
        (with_input(shape=(2**40, 2**40)), "[request id: q] inference request batch-size must be <= 8 for 'm'"),
        (
            with_input(shape=(1, -1)),
            "[request id: q] All input dimensions should be specified for input 'I' for model 'm', got [1,-1]",
        ),
        (
            with_input(shape=(-5, 1)),
            "[request id: q] All input dimensions should be specified for input 'I' for model 'm', got [-5,1]",
        ),
        (
            with_input(datatype="INT32"),
            "[request id: q] inference input 'I' data-type is 'INT32', but model 'm' expects 'FP32'",
        ),
        (
            with_input(nbytes=20),
            "[request id: q] input byte size mismatch for input 'I' for model 'm'. Expected 24, got 20",
        ),
        (
            with_input(shape=(2, 2**62)),
            f"[request id: q] input byte size mismatch for input 'I' for model 'm'. Expected {2**65}, got 24",
        ),
    ],
)
def test_refusals(request_: InferRequest, text: str) -> None:
    assert refusal(request_) == text


@pytest.mark.parametrize(("correlation_id", "refused"), [("é" * 64, False), ("é" * 64 + "x", True), (2**64 - 1, False)])
def test_texts_as_correlation_ids_are_short(correlation_id: int | str, refused: bool) -> None:
    request = dataclasses.replace(REQUEST, correlation_id=correlation_id)
    if not refused:
        validate(request, BATCHED)
        return
    with pytest.raises(PyServeError, match="string correlation ID cannot be longer than 128 characters") as caught:
        validate(request, BATCHED)
    assert caught.value.code is Code.UNSUPPORTED


def test_a_shape_without_batching() -> None:
    text = "[request id: q] unexpected shape for input 'I' for model 'm'. Expected [2,2], got [2,3]. "
    assert refusal(REQUEST, PLAIN) == text


def test_strings_from_json_are_counted() -> None:
    data = pack_elements([b"a", b"b"])
    request = with_input(datatype="BYTES", shape=(3,), nbytes=len(data), inline=data)
    text = "[request id: q] expected 3 string elements for inference input 'I' for model 'm', got 2"
    assert refusal(request, STRINGS) == text
    validate(with_input(datatype="BYTES", shape=(2,), nbytes=len(data), inline=data), STRINGS)


def test_strings_in_the_body_are_left_to_who_has_it() -> None:
    validate(with_input(datatype="BYTES", shape=(3,), nbytes=1), STRINGS)


@given(st.lists(st.binary(max_size=6) | st.just(b"abc"), max_size=6))
def test_complete_strings_pass(elements: list[bytes]) -> None:
    check_bytes(memoryview(pack_elements(elements)), len(elements), name="I", model_name="m")


@given(st.lists(st.just(b"ab"), min_size=1, max_size=6), st.integers(0, 7))
def test_strings_of_one_length_are_counted_too(elements: list[bytes], count: int) -> None:
    view = memoryview(pack_elements(elements))
    if count == len(elements):
        check_bytes(view, count, name="I", model_name="m")
    else:
        with pytest.raises(PyServeError):
            check_bytes(view, count, name="I", model_name="m")


@given(st.binary(max_size=24), st.integers(0, 4))
def test_any_content_passes_or_is_refused(data: bytes, count: int) -> None:
    result = outcome(lambda: check_bytes(memoryview(data), count, name="I", model_name="m"))
    assert result is None or result.code is Code.INVALID_ARG
