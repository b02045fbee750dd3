from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import limits


def refusal(value: bytes, body_nbytes: int = 68) -> str:
    with pytest.raises(PyServeError) as caught:
        limits.inference_header_length(value, body_nbytes)
    assert caught.value.code is Code.INVALID_ARG
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "length"), [(None, None), (b"0", 0), (b"68", 68), (b" 5 ", 5), (b"+7", 7), (b"007", 7)]
)
def test_header_lengths(value: bytes | None, length: int | None) -> None:
    assert limits.inference_header_length(value, 68) == length


@pytest.mark.parametrize("value", ["69", "-1", "9" * 19, "9" * 31, "-" + "9" * 31])
def test_lengths_outside_of_the_body(value: str) -> None:
    assert refusal(value.encode()) == f"inference header size should be in range (0, 68), got: {value}"


@pytest.mark.parametrize("value", ["", "abc", "0x10", "1e3", "68x", "1 2", "--1", "1,1", "\u00b2"])
def test_lengths_that_are_no_numbers(value: str) -> None:
    assert refusal(value.encode("latin-1")) == f"Unable to parse Inference-Header-Content-Length, got: {value}"


@given(st.binary(max_size=40), st.integers(0, 100))
def test_any_header_is_a_length_or_refused(value: bytes, body_nbytes: int) -> None:
    try:
        length = limits.inference_header_length(value, body_nbytes)
    except PyServeError:
        return
    assert length is not None
    assert 0 <= length <= body_nbytes


def test_sizes_at_their_limits_pass() -> None:
    limits.check_json_size(5, 5)
    limits.check_json_tensor("I", 5, 5)
    limits.check_raw_size(5, 5)
    limits.check_tensor_count("inputs", limits.MAX_TENSORS)


def test_a_raw_body_beyond_its_limit() -> None:
    with pytest.raises(PyServeError) as caught:
        limits.check_raw_size(6, 5)
    assert caught.value.message == (
        "Raw input has a byte_size (6 bytes) that exceeds the maximum allowed value of 5 bytes. "
        "Use --http-max-input-size to increase the limit."
    )
