from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyserve_stub.responses import InferenceResponse, TritonError
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import ErrorCode, TritonModelException

X, Y = Tensor("x", np.zeros(1)), Tensor("y", np.zeros(1))


def test_an_error_is_a_message_and_a_code() -> None:
    assert (TritonError("a").message(), TritonError("a").code()) == ("a", ErrorCode.INTERNAL)
    error = TritonError(message=b"b", code=TritonError.CANCELLED)
    assert error.message() == "b"
    assert error.code() is TritonError.CANCELLED
    assert getattr(TritonError, "__ErrorCode") is ErrorCode


@pytest.mark.parametrize("args", [(), (3,), (None,), ("x", 1), ("x", None)])
def test_an_error_needs_a_message_and_a_code_of_its_own(args: Any) -> None:
    with pytest.raises(TypeError) as caught:
        TritonError(*args)
    assert str(caught.value) == (
        "__init__(): incompatible constructor arguments. The following argument types are supported:\n"
        "    1. c_python_backend_utils.TritonError(message: str, code: c_python_backend_utils.TritonError.__ErrorCode"
        f" = <__ErrorCode.INTERNAL: 1>)\n\nInvoked with: {', '.join(map(repr, args))}"
    )


def test_codes_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError, match="has no setter"):
        TritonError.INTERNAL = ErrorCode.UNKNOWN


def test_a_response_keeps_its_tensors() -> None:
    response = InferenceResponse((X, Y))
    assert response.output_tensors() == [X, Y]
    response.output_tensors().clear()
    assert response.output_tensors() == [X, Y]
    assert not response.has_error()
    assert response.error() is None
    assert response.parameters() == "{}"


def test_empty_responses_do_not_share_a_list() -> None:
    InferenceResponse()._outputs.append(X)
    assert InferenceResponse().output_tensors() == []


def test_a_response_may_have_outputs_and_an_error() -> None:
    error = TritonError("x")
    response = InferenceResponse([X], error)
    assert response.has_error()
    assert response.error() is error
    assert response.output_tensors() == [X]


@pytest.mark.parametrize("args", [(None,), (X,), ([3],), ([X], "err"), (iter([X]),)])
def test_a_response_needs_tensors_and_an_error(args: Any) -> None:
    with pytest.raises(TypeError, match=r"1\. c_python_backend_utils\.InferenceResponse\(output_tensors: List\["):
        InferenceResponse(*args)


def test_a_response_has_no_empty_outputs() -> None:
    with pytest.raises(TritonModelException, match=r"^Output tensor for inference response should not be empty\.$"):
        InferenceResponse([X, None])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [(None, "{}"), ({}, "{}"), ({"a": 1, "b": True, "c": "é"}, '{"a": 1, "b": true, "c": "\\u00e9"}')],
)
def test_parameters_become_text(parameters: Any, text: str) -> None:
    assert InferenceResponse([X], parameters=parameters).parameters() == text


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ([1], "Expect N8pybind114dictE, got <class 'list'>"),
        ({1: 2}, "Expect parameters keys to have type str, found type <class 'int'>"),
        ({"a": 2.0}, "Expect parameters values to have type bool/int/str, found type <class 'float'>"),
        ({"a": None}, "Expect parameters values to have type bool/int/str, found type <class 'NoneType'>"),
    ],
)
def test_other_parameters_are_refused(parameters: Any, text: str) -> None:
    with pytest.raises(TritonModelException) as caught:
        InferenceResponse(parameters=parameters)
    assert str(caught.value) == text


def test_an_answer_that_arrived_is_taken_as_it_is() -> None:
    response = InferenceResponse._arrived([X], None)
    assert response.output_tensors() == [X]
    assert response.parameters() == ""
