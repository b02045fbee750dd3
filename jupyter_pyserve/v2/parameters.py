"""Reads the `parameters` of an inference request: controls that the server obeys, and values for the model.

Members are looked at in their order, so that of several mistakes the first one is reported. Knows nothing of tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import members, rapidjson
from jupyter_pyserve.v2.members import Members
from jupyter_pyserve.v2.messages import FLAG_SEQUENCE_END, FLAG_SEQUENCE_START, ParameterValue

_RESERVED_PREFIX: Final = "triton_"


@dataclass(slots=True, kw_only=True)
class Parameters:
    """What the parameters said; filled while they are read, then only read."""

    values: dict[str, ParameterValue] = field(default_factory=dict)
    priority: int = 0
    timeout_us: int = 0
    correlation_id: int | str = 0
    flags: int = 0
    binary_data_output: bool = False


def read_parameters(request: Members, header: bytes) -> Parameters:
    """Reads the request's `parameters`, if any; `header` is the text that they came from."""
    found = Parameters()
    if "parameters" not in request:
        return found
    given = request["parameters"]
    if type(given) is not dict:
        members.fail("failed to get request params.", "attempt to get members for non-object")
    for name, value in given.items():
        control = _CONTROLS.get(name)
        if control is not None:
            control(found, given, name)
        else:
            found.values[name] = _value(name, value, header)
    return found


def _value(name: str, value: object, header: bytes) -> ParameterValue:
    if name.startswith(_RESERVED_PREFIX):
        message = "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."
        raise PyServeError(Code.INVALID_ARG, message)
    return value_of(name, value, header)


def value_of(name: str, value: object, header: bytes) -> ParameterValue:
    """The value of any parameter; `header` is the text that it came from."""
    if type(value) is int:
        return value if members.MIN_INT64 <= value <= members.MAX_INT64 else _double(value, header)
    if type(value) is float:
        return _double(value, header)
    if type(value) is bool or type(value) is str:
        return value
    message = f"parameter '{name}' has invalid type. It should be either 'int', 'bool', or 'string'."
    raise PyServeError(Code.INVALID_ARG, message)


def _double(value: float, header: bytes) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        rapidjson.check_numbers(header)
    return number


def _sequence_id(found: Parameters, given: Members, name: str) -> None:
    value = given[name]
    found.correlation_id = value if members.is_unsigned(value) else members.string(given, name)


def set_sequence_start(found: Parameters, value: bool) -> None:
    found.flags |= FLAG_SEQUENCE_START if value else 0


def set_sequence_end(found: Parameters, value: bool) -> None:
    found.flags |= FLAG_SEQUENCE_END if value else 0


def _sequence_start(found: Parameters, given: Members, name: str) -> None:
    set_sequence_start(found, members.boolean(given, name))


def _sequence_end(found: Parameters, given: Members, name: str) -> None:
    set_sequence_end(found, members.boolean(given, name))


def _priority(found: Parameters, given: Members, name: str) -> None:
    found.priority = members.unsigned(given, name)


def _timeout(found: Parameters, given: Members, name: str) -> None:
    found.timeout_us = members.unsigned(given, name)


def _binary_data_output(found: Parameters, given: Members, name: str) -> None:
    found.binary_data_output = members.boolean(given, name)


_CONTROLS: Final[dict[str, Callable[[Parameters, Members, str], None]]] = {
    "sequence_id": _sequence_id,
    "sequence_start": _sequence_start,
    "sequence_end": _sequence_end,
    "priority": _priority,
    "timeout": _timeout,
    "binary_data_output": _binary_data_output,
}
