"""Typed access to members of parsed JSON, failing with the texts of Triton's JSON layer (always INTERNAL).

Knows nothing of messages: callers say which names they want and what to put before the text.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from jupyter_pyserve.errors import Code, PyServeError

MAX_UINT64: Final = 2**64 - 1
MIN_INT64: Final = -(2**63)
MAX_INT64: Final = 2**63 - 1

NOT_STRING: Final = "attempt to access JSON non-string as string"
NOT_BOOL: Final = "attempt to access JSON non-boolean as boolean"
NOT_UINT: Final = "attempt to access JSON non-unsigned-integer as unsigned-integer"
NOT_INT: Final = "attempt to access JSON non-signed-integer as signed-integer"
NOT_NUMBER: Final = "attempt to access JSON non-number as double"
NOT_ARRAY: Final = "attempt to access JSON non-array as array"

Members = dict[str, Any]


def object_or_empty(value: object) -> Members:
    """Triton looks members up in anything; what is no object has none."""
    return value if type(value) is dict else {}


def fail(context: str, reason: str) -> NoReturn:
    raise PyServeError(Code.INTERNAL, f"{context}: {reason}")


def required(members: Members, name: str) -> object:
    if name not in members:
        fail(f"Unable to parse '{name}'", f"attempt to access non-existing object member '{name}'")
    value: object = members[name]
    return value


def string(members: Members, name: str) -> str:
    value = required(members, name)
    if type(value) is not str:
        fail(f"Unable to parse '{name}'", NOT_STRING)
    return value


def array(members: Members, name: str) -> list[Any]:
    value = required(members, name)
    if type(value) is not list:
        fail(f"Unable to parse '{name}'", NOT_ARRAY)
    return value


def boolean(members: Members, name: str, *, verb: str = "parse") -> bool:
    value = required(members, name)
    if type(value) is not bool:
        fail(f"Unable to {verb} '{name}'", NOT_BOOL)
    return value


def unsigned(members: Members, name: str, *, verb: str = "parse") -> int:
    value = required(members, name)
    if not is_unsigned(value):
        fail(f"Unable to {verb} '{name}'", NOT_UINT)
    return int(value)  # type: ignore[call-overload,no-any-return]


def is_unsigned(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_UINT64


def dimensions(members: Members) -> tuple[int, ...]:
    sizes = array(members, "shape")
    if not all(map(is_unsigned, sizes)):
        fail("Unable to parse 'shape'", NOT_UINT)
    return tuple(sizes)
