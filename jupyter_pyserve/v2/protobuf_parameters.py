"""Parameters of requests, inputs and outputs as protobuf maps, with Triton's rules and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import ShmRef
from jupyter_pyserve.v2.parameters import Parameters, set_sequence_end, set_sequence_start

_RESERVED: Final = "triton_"
_EMPTY_FINAL: Final = "triton_enable_empty_final_response"
_MASK: Final = 2**64 - 1

Map = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class StreamParameters(Parameters):
    """What the parameters of a request said."""

    empty_final: bool = False


def read_parameters(given: Map) -> StreamParameters:
    """Reads the request's parameters."""
    found = StreamParameters()
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        value: Any = getattr(parameter, kind) if kind is not None else None
        control = _CONTROLS.get(name)
        if control is not None:
            control(found, name, kind, value)
        elif name.startswith(_RESERVED):
            _refuse(
                "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys "
                f"starting with 'triton_' are allowed: {_EMPTY_FINAL}"
            )
        elif kind in ("int64_param", "bool_param", "string_param", "double_param"):
            found.values[name] = value
        else:
            _wrong_type(name, "int64_param, bool_param, or string_param.")
    return found


def read_region(given: Map, tensor: str) -> ShmRef | None:
    """Where a tensor lies in shared memory, if its parameters say that it does."""
    if not given:
        return None
    name = _typed(given, "shared_memory_region", "string_param", tensor)
    if name is None:
        for key in ("shared_memory_offset", "shared_memory_byte_size"):
            if key in given:
                text = f"'{key}' can not be specified without 'shared_memory_region' parameter for tensor '{tensor}'"
                _refuse(text)
        return None
    offset = _typed(given, "shared_memory_offset", "int64_param", tensor)
    nbytes = _typed(given, "shared_memory_byte_size", "int64_param", tensor)
    if nbytes is None:
        what = "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter"
        _refuse(f"{what} for tensor '{tensor}'")
    return ShmRef(region=name, offset=(offset or 0) & _MASK, nbytes=nbytes & _MASK)


def read_classification(given: Map) -> int:
    """How many classes of an output are asked for; 0 is none."""
    if "classification" not in given:
        return 0
    parameter = given["classification"]
    if parameter.WhichOneof("parameter_choice") != "int64_param":
        _wrong_type("classification", "int64_param")
    if parameter.int64_param <= 0:
        _refuse("invalid value for 'classification' parameter, expected >= 0")
    return int(parameter.int64_param)


def _typed(given: Map, key: str, kind: str, tensor: str) -> Any:
    if key not in given:
        return None
    parameter = given[key]
    if parameter.WhichOneof("parameter_choice") != kind:
        _refuse(f"invalid value type for '{key}' parameter for tensor '{tensor}', expected {kind}.")
    return getattr(parameter, kind)


def _sequence_id(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    if kind == "int64_param":
        found.correlation_id = value & _MASK
    elif kind == "string_param":
        found.correlation_id = value
    else:
        _wrong_type(name, "int64_param or string_param.")


def _flag(name: str, kind: str | None, value: Any) -> bool:
    if kind != "bool_param":
        _wrong_type(name, "bool_param.")
    return bool(value)


def _sequence_start(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    set_sequence_start(found, _flag(name, kind, value))


def _sequence_end(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    set_sequence_end(found, _flag(name, kind, value))


def _empty_final(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    found.empty_final = _flag(name, kind, value)


def _priority(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    if kind not in ("int64_param", "uint64_param"):
        _wrong_type(name, "int64_param or uint64_param.")
    if value < 0:
        _refuse("invalid value for 'priority', expected value >= 0.")
    found.priority = value


def _timeout(found: StreamParameters, name: str, kind: str | None, value: Any) -> None:
    if kind != "int64_param":
        _wrong_type(name, "int64_param.")
    found.timeout_us = value & _MASK


def _wrong_type(name: str, expected: str) -> NoReturn:
    _refuse(f"invalid value type for '{name}' parameter, expected {expected}")


def _refuse(message: str) -> NoReturn:
    raise PyServeError(Code.INVALID_ARG, message)


_CONTROLS: Final[dict[str, Callable[[StreamParameters, str, str | None, Any], None]]] = {
    "sequence_id": _sequence_id,
    "sequence_start": _sequence_start,
    "sequence_end": _sequence_end,
    "priority": _priority,
    "timeout": _timeout,
    _EMPTY_FINAL: _empty_final,
}
