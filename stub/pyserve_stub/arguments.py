"""Binding of arguments to native callables, with the errors that pybind11 would raise.

A callable declares its parameters once, as a table; a mismatch in count, keyword or type raises a `TypeError` that
lists the supported signature and what it was invoked with. Knows nothing of what the arguments are for.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np

_REQUIRED = object()


class MismatchError(Exception):
    """A value that a converter does not take; never leaves this module's `bind`."""


class Parameter(NamedTuple):
    """One parameter: its name, its type as the signature spells it, and what turns an argument into its value."""

    name: str
    label: str
    convert: Callable[[Any], Any]
    default: Any = _REQUIRED
    positional_only: bool = False

    def __str__(self) -> str:
        text = f"{self.name}: {self.label}"
        return text if self.default is _REQUIRED else f"{text} = {self.default!r}"


class Signature:
    """The parameters of one native callable."""

    __slots__ = ("_kind", "_name", "_parameters", "_text")

    def __init__(self, name: str, *parameters: Parameter, returns: str, receiver: str = "") -> None:
        self._name = name
        self._kind = "constructor" if name == "__init__" else "function"
        self._parameters = parameters
        listed = ", ".join(([f"self: {receiver}"] if receiver else []) + [str(parameter) for parameter in parameters])
        self._text = f"{returns}({listed})" if name == "__init__" else f"({listed}) -> {returns}"

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any], receiver: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """The value of every parameter, in order; `receiver` is the object of a method, for the message only."""
        try:
            return self._match(args, kwargs)
        except MismatchError:
            raise TypeError(self._explain((*receiver, *args), kwargs)) from None

    def _match(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        if len(args) > len(self._parameters):
            raise MismatchError
        values = []
        taken = 0
        for index, parameter in enumerate(self._parameters):
            if index < len(args):
                value = args[index]
            elif parameter.name in kwargs and not parameter.positional_only:
                value = kwargs[parameter.name]
                taken += 1
            elif parameter.default is _REQUIRED:
                raise MismatchError
            else:
                values.append(parameter.default)
                continue
            values.append(parameter.convert(value))
        if taken != len(kwargs):
            raise MismatchError
        return tuple(values)

    def _explain(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        invoked = ", ".join(map(repr, args))
        if kwargs:
            named = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
            invoked = f"{invoked}; kwargs: {named}" if args else f"kwargs: {named}"
        return (
            f"{self._name}(): incompatible {self._kind} arguments. The following argument types are supported:\n"
            f"    1. {self._text}\n\nInvoked with: {invoked}"
        )


def anything(value: Any) -> Any:
    """Any object, None too."""
    return value


def something(value: Any) -> Any:
    """Any object but None."""
    if value is None:
        raise MismatchError
    return value


def text(value: Any) -> str:
    """A str that has a form in UTF-8, or bytes that are one."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise MismatchError from None
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return value.decode()
    raise MismatchError


def integer(low: int, high: int) -> Callable[[Any], int]:
    """An integer of Python's or numpy's within `low` and `high`, both included."""

    def convert(value: Any) -> int:
        try:
            number = int(operator.index(value))
        except TypeError:
            raise MismatchError from None
        if not low <= number <= high:
            raise MismatchError
        return number

    return convert


def number(value: Any) -> float:
    """A float, or what has a float value without being text."""
    if not isinstance(value, (str, bytes)) and (hasattr(value, "__float__") or hasattr(value, "__index__")):
        return float(value)
    raise MismatchError


def truth(value: Any) -> bool:
    """What can be true or false on its own: bool, None, a number; not a string or a container."""
    if value is None or hasattr(type(value), "__bool__"):
        return bool(value)
    raise MismatchError


def native(cls: type, optional: bool = False) -> Callable[[Any], Any]:
    """An instance of `cls`, or None where that is allowed."""

    def convert(value: Any) -> Any:
        if isinstance(value, cls) or (optional and value is None):
            return value
        raise MismatchError

    return convert


def array(value: Any) -> np.ndarray[Any, Any]:
    """A numpy array, of a subclass too; nothing is converted to one."""
    if isinstance(value, np.ndarray):
        return value
    raise MismatchError


def sequence_of(convert_item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A list, tuple or other sequence that is neither text nor a mapping nor a set."""

    def convert(value: Any) -> Any:
        if isinstance(value, (str, bytes, dict)) or not hasattr(type(value), "__getitem__"):
            raise MismatchError
        return [convert_item(item) for item in value]

    return convert


#: The widths of C++'s integers.
UINT32 = integer(0, 2**32 - 1)
UINT64 = integer(0, 2**64 - 1)
INT64 = integer(-(2**63), 2**63 - 1)
