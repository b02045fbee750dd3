from __future__ import annotations

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.messages import InferRequest, InputRef
from jupyter_pyserve.v2.raw import raw_infer
from jupyter_pyserve.v2.validate import validate
from tests.unit.v2.echo import signature

PREFIX = "[request id: <id_unknown>] "


def test_the_free_dimension_is_what_the_size_leaves() -> None:
    model = signature("m", 8, I=("INT16", (2, -1, 3)))
    request = raw_infer(model, 24)
    assert request == InferRequest(
        id="",
        parameters={},
        inputs=(InputRef(name="I", datatype="INT16", shape=(1, 2, 2, 3), offset=0, nbytes=24),),
        binary_data_output=True,
    )
    validate(request, model)


def test_a_string_gets_the_length_that_the_body_lacks() -> None:
    (tensor,) = raw_infer(signature("m", 4, I=("BYTES", (1,))), 5).inputs
    assert (tensor.shape, tensor.nbytes, tensor.lead) == ((1, 1), 9, b"\5\0\0\0")


@pytest.mark.parametrize(
    ("tensors", "nbytes", "text"),
    [
        (
            {"IA": ("FP32", (1,)), "IB": ("FP32", (1,))},
            4,
            "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'm' model configuration",
        ),
        (
            {"I": ("FP32", (-1, -1))},
            4,
            "The shape of the raw input 'I' can not be deduced because there are more than one "
            "variable-sized dimension",
        ),
        ({"I": ("BYTES", (-1,))}, 4, "For BYTE datatype raw input 'I', the model must have input shape [1]"),
        (
            {"I": ("FP32", (2, 2))},
            15,
            "input byte size mismatch for input 'raw_input' for model 'm'. Expected 16, got 15",
        ),
        (
            {"I": ("FP32", (-1, 2))},
            12,
            "input byte size mismatch for input 'raw_input' for model 'm'. Expected 8, got 12",
        ),
        (
            {"I": ("FP32", (0, -1))},
            4,
            "input byte size mismatch for input 'raw_input' for model 'm'. Expected 0, got 4",
        ),
    ],
)
def test_what_can_not_be_deduced(tensors: dict[str, tuple[str, tuple[int, ...]]], nbytes: int, text: str) -> None:
    with pytest.raises(PyServeError) as caught:
        raw_infer(signature("m", 0, **tensors), nbytes)
    assert caught.value.message == PREFIX + text


def test_limits() -> None:
    with pytest.raises(PyServeError, match="Raw input has a byte_size"):
        raw_infer(signature("m", 0, I=("UINT8", (-1,))), 11, max_raw_bytes=10)
    with pytest.raises(PyServeError, match="one BYTES element"):
        raw_infer(signature("m", 0, I=("BYTES", (1,))), 1 << 32, max_raw_bytes=1 << 40)
