"""What a model answers with: `TritonError` and `InferenceResponse`. Knows nothing of how a response is delivered."""

from __future__ import annotations

import json
from typing import Any

from pyserve_stub import arguments
from pyserve_stub.tensors import Tensor
from pyserve_stub.vocabulary import NATIVE_MODULE, ErrorCode, NativeObject, TritonModelException

_ERROR_INIT = arguments.Signature(
    "__init__",
    arguments.Parameter("message", "str", arguments.text),
    arguments.Parameter(
        "code", f"{NATIVE_MODULE}.TritonError.__ErrorCode", arguments.native(ErrorCode), ErrorCode.INTERNAL
    ),
    returns=f"{NATIVE_MODULE}.TritonError",
)


class TritonError(NativeObject):
    """`TritonError(message, code=TritonError.INTERNAL)`: the failure of one request; not an exception."""

    __slots__ = ("_code", "_message")
    __module__ = NATIVE_MODULE

    UNKNOWN = ErrorCode.UNKNOWN
    INTERNAL = ErrorCode.INTERNAL
    NOT_FOUND = ErrorCode.NOT_FOUND
    INVALID_ARG = ErrorCode.INVALID_ARG
    UNAVAILABLE = ErrorCode.UNAVAILABLE
    UNSUPPORTED = ErrorCode.UNSUPPORTED
    ALREADY_EXISTS = ErrorCode.ALREADY_EXISTS
    CANCELLED = ErrorCode.CANCELLED

    _message: str
    _code: ErrorCode

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._message, self._code = _ERROR_INIT.bind(args, kwargs)

    def code(self) -> ErrorCode:
        """The code."""
        return self._code

    def message(self) -> str:
        """The text that the client sees."""
        return self._message


# Not in the class body, where the name would be mangled.
type.__setattr__(TritonError, "__ErrorCode", ErrorCode)


def parameters_json(parameters: object) -> str:
    """The JSON text of the parameters of a request or response that a model made."""
    if parameters is None:
        return "{}"
    if not isinstance(parameters, dict):
        raise TritonModelException(f"Expect N8pybind114dictE, got {type(parameters)}")
    for key, value in parameters.items():
        if not isinstance(key, str):
            raise TritonModelException(f"Expect parameters keys to have type str, found type {type(key)}")
        if not isinstance(value, (bool, int, str)):
            raise TritonModelException(f"Expect parameters values to have type bool/int/str, found type {type(value)}")
    return json.dumps(parameters)


_TENSOR = frozenset([Tensor])
_TENSORS = arguments.sequence_of(arguments.native(Tensor, optional=True))

_RESPONSE_INIT = arguments.Signature(
    "__init__",
    arguments.Parameter("output_tensors", f"List[{NATIVE_MODULE}.Tensor]", _TENSORS, []),
    arguments.Parameter("error", f"{NATIVE_MODULE}.TritonError", arguments.native(TritonError, optional=True), None),
    arguments.Parameter("parameters", "object", arguments.anything, None),
    returns=f"{NATIVE_MODULE}.InferenceResponse",
)


class InferenceResponse(NativeObject):
    """`InferenceResponse(output_tensors=[], error=None, parameters=None)`: with an error, the outputs are not sent."""

    __slots__ = ("_error", "_outputs", "_parameters")
    __module__ = NATIVE_MODULE

    _outputs: list[Tensor]
    _error: TritonError | None
    _parameters: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if len(args) == 1 and not kwargs and type(args[0]) is list and _TENSOR.issuperset(map(type, args[0])):
            # What nearly every response is made of.
            self._outputs = args[0].copy()
            self._error = None
            self._parameters = "{}"
            return
        outputs, self._error, parameters = _RESPONSE_INIT.bind(args, kwargs)
        if None in outputs:
            raise TritonModelException("Output tensor for inference response should not be empty.")
        self._outputs = list(outputs)
        self._parameters = parameters_json(parameters)

    @classmethod
    def _arrived(cls, outputs: list[Tensor], error: TritonError | None, parameters: str = "") -> InferenceResponse:
        """The answer to a BLS call; `parameters` is JSON text."""
        response = cls.__new__(cls)
        response._outputs = outputs
        response._error = error
        response._parameters = parameters
        return response

    def output_tensors(self) -> list[Tensor]:
        """The outputs, as a new list."""
        return list(self._outputs)

    def has_error(self) -> bool:
        """Whether the response is a failure."""
        return self._error is not None

    def error(self) -> TritonError | None:
        """The failure, if it is one."""
        return self._error

    def parameters(self) -> str:
        """The parameters as JSON text."""
        return self._parameters
