from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pyserve_stub.host import Host
from pyserve_stub.messages import (
    InferenceRequest,
    InferenceResponse,
    InferenceTrace,
    PreferredMemory,
    Tensor,
)
from pyserve_stub.vocabulary import MemoryType, TritonModelException

from tests.unit.stub.hosting import in_charge

X = Tensor("x", np.zeros(1))


class FakeHost(Host):
    """Answers BLS calls with what it was asked, and cancels on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = False
        self.asked = 0

    def is_cancelled(self, request_key: int) -> bool:
        self.asked += 1
        return self.cancelled

    def bls(self, request: InferenceRequest, decoupled: bool) -> InferenceResponse:
        return InferenceResponse(parameters={"model": request._model_name, "decoupled": decoupled})

    def async_bls(self, request: InferenceRequest, decoupled: bool) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(self.bls(request, decoupled))
        return future


@pytest.fixture
def host() -> Iterator[FakeHost]:
    with in_charge(FakeHost()) as fake:
        yield fake


def made(*args: Any, **kwargs: Any) -> InferenceRequest:
    rest = ["", 0, [X], ["y"], "m"][len(args) :]
    return InferenceRequest(*args, *rest, **kwargs)


def incoming() -> InferenceRequest:
    return InferenceRequest._incoming(7, "rid", "seq", 1, 250, '{"a":1}', [X], ("y", "z"), "m")


def test_a_request_is_what_it_was_made_of() -> None:
    request = InferenceRequest(
        request_id=b"r",
        correlation_id="c",
        inputs=(X,),
        requested_output_names=[b"a", "b"],
        model_name=b"m",
        model_version=np.int32(2),
        flags=3,
        timeout=2**63,
        preferred_memory=PreferredMemory(MemoryType.TRITONSERVER_MEMORY_CPU),
        parameters={"a": 1},
    )
    assert request.request_id() == "r"
    assert request.correlation_id() == "c"
    assert request.inputs() == [X]
    assert request.requested_output_names() == {"a", "b"}
    assert request.flags() == 3
    assert request.timeout() == 2**63
    assert request.parameters() == '{"a": 1}'
    assert request.trace().get_context() is None


def test_defaults() -> None:
    request = InferenceRequest(inputs=[], requested_output_names=[], model_name="")
    assert (request.request_id(), request.correlation_id(), request.flags(), request.timeout()) == ("", 0, 0, 0)
    assert request.parameters() == "{}"
    assert request._model_version == -1


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((None,), {}),
        ((1,), {}),
        (("", None), {}),
        (("", 0, None), {}),
        (("", 0, "ab"), {}),
        (("", 0, {X}), {}),
        (("", 0, [3]), {}),
        (("", 0, [X], "abc"), {}),
        (("", 0, [X], ["a", None]), {}),
        (("", 0, [X], {"a": 1}), {}),
        (("", 0, [X], [], None), {}),
        (("", 0, [X], [], "m", "1"), {}),
        (("", 0, [X], [], "m", 1.0), {}),
        ((), {"model_version": None}),
        ((), {"flags": -1}),
        ((), {"flags": 2**32}),
        ((), {"flags": None}),
        ((), {"timeout": -1}),
        ((), {"timeout": 1.0}),
        ((), {"preferred_memory": None}),
        ((), {"trace": None}),
        ((), {"bogus": 1}),
        ((), {"model_name": "z"}),
    ],
)
def test_other_arguments_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError) as caught:
        made(*args, **kwargs)
    assert str(caught.value).startswith(
        "__init__(): incompatible constructor arguments. The following argument types are supported:\n"
        "    1. c_python_backend_utils.InferenceRequest(request_id: str = '', correlation_id: object = 0, inputs:"
        " List[triton::backend::python::PbTensor], requested_output_names: List[str], model_name: str,"
        " model_version: int = -1, flags: int = 0, timeout: int = 0,"
        " preferred_memory: c_python_backend_utils.PreferredMemory = <c_python_backend_utils.PreferredMemory object at"
    )


CAST = (
    "Unable to cast Python instance to C++ type"
    " (#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)"
)


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "text"),
    [
        (("", 1.5), {}, TritonModelException, "Correlation ID must be integer or string"),
        (("", b"x"), {}, TritonModelException, "Correlation ID must be integer or string"),
        (("", np.int64(3)), {}, TritonModelException, "Correlation ID must be integer or string"),
        (("", -1), {}, RuntimeError, CAST),
        (("", 2**64), {}, RuntimeError, CAST),
        (
            ("rid", 0, [None]),
            {},
            TritonModelException,
            "Input tensor for request with id 'rid' and model name 'm' should not be empty.",
        ),
        (
            ("rid", 0, [X], ["a", ""]),
            {},
            TritonModelException,
            "Requested output name for request with id 'rid' and model name 'm' should not be empty.",
        ),
        ((), {"parameters": [1]}, TritonModelException, "Expect N8pybind114dictE, got <class 'list'>"),
    ],
)
def test_other_values_are_refused(args: Any, kwargs: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        made(*args, **kwargs)
    assert str(caught.value) == text


def test_a_boolean_correlation_id_is_a_number() -> None:
    assert repr(made("", True).correlation_id()) == "1"
    assert made("", 2**64 - 1).correlation_id() == 2**64 - 1


def test_an_incoming_request_is_what_arrived() -> None:
    request = incoming()
    assert request.request_id() == "rid"
    assert request.correlation_id() == "seq"
    assert request.flags() == 1
    assert request.timeout() == 250
    assert request.parameters() == '{"a":1}'
    assert request.inputs() == [X]
    assert request.inputs() is not request.inputs()
    assert request.requested_output_names() == {"y", "z"}


def test_flags_can_be_set() -> None:
    request = incoming()
    request.set_flags(5)
    request.set_release_flags(2)
    assert request.flags() == 5
    assert request._release_flags == 2


@pytest.mark.parametrize("name", ["set_flags", "set_release_flags"])
@pytest.mark.parametrize(("args", "kwargs"), [((-1,), {}), ((), {"flags": 1}), ((1.0,), {}), ((), {})])
def test_flags_are_numbers_and_positional(name: str, args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(incoming(), name)(*args, **kwargs)
    assert str(caught.value).startswith(
        f"{name}(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: c_python_backend_utils.InferenceRequest, arg0: int) -> None\n\n"
        "Invoked with: <c_python_backend_utils.InferenceRequest object at"
    )


def test_the_sender_is_the_same_at_each_call() -> None:
    request = incoming()
    assert request.get_response_sender() is request.get_response_sender()


def test_cancellation_is_asked_until_it_is_so(host: FakeHost) -> None:
    request = incoming()
    assert not request.is_cancelled()
    host.cancelled = True
    assert request.is_cancelled()
    host.cancelled = False
    assert request.is_cancelled()
    assert host.asked == 2


def test_a_made_request_is_never_cancelled(host: FakeHost) -> None:
    host.cancelled = True
    assert not made().is_cancelled()
    assert not made().get_response_sender().is_cancelled()
    assert host.asked == 0


@pytest.mark.parametrize(("kwargs", "decoupled"), [({}, "false"), ({"decoupled": True}, "true")])
def test_exec_asks_the_host(host: FakeHost, kwargs: Any, decoupled: str) -> None:
    expected = f'{{"model": "m", "decoupled": {decoupled}}}'
    response = made().exec(**kwargs)
    assert isinstance(response, InferenceResponse)
    assert response.parameters() == expected

    async def main() -> Any:
        return await made().async_exec(**kwargs)

    assert asyncio.run(main()).parameters() == expected


def test_without_a_server_exec_says_so() -> None:
    with pytest.raises(TritonModelException, match=r"^A BLS request needs a server"):
        made().exec()


@pytest.mark.parametrize("args", [(), (0,), (MemoryType.TRITONSERVER_MEMORY_CPU, "x"), (None,)])
def test_preferred_memory_needs_a_kind(args: Any) -> None:
    with pytest.raises(TypeError, match=r"PreferredMemory\(preferred_memory_type: triton::backend::python::Preferred"):
        PreferredMemory(*args)


def test_a_trace_is_not_made_by_models() -> None:
    with pytest.raises(TypeError, match=r"^c_python_backend_utils\.InferenceTrace: No constructor defined!$"):
        InferenceTrace()
    assert InferenceTrace._of("context").get_context() == "context"
