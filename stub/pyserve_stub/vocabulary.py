"""The words that models and the stub share: native enums, flags, the one exception, the base of native classes.

Everything else of the `pb_utils` surface imports this leaf; it knows no tensors, no requests and no engine.
"""

from __future__ import annotations

import enum
from typing import Any, NoReturn

#: What `type(x).__module__` of every native class says; the text is visible in error messages that clients match.
NATIVE_MODULE = "c_python_backend_utils"

#: What pybind11 says of a value that a native type cannot hold.
CAST_FAILED = (
    "Unable to cast Python instance to C++ type"
    " (#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)"
)

FLAG_SEQUENCE_START = 1
FLAG_SEQUENCE_END = 2
RESPONSE_COMPLETE_FINAL = 1
RELEASE_ALL = 1
RELEASE_RESCHEDULE = 2


class TritonModelException(Exception):
    """Raised by everything native that fails."""

    __module__ = NATIVE_MODULE


def _named_natively(cls: type) -> None:
    """Gives a class the full name that C code has: errors of the interpreter show it, `__name__` does not."""
    set_name = type.__dict__["__name__"].__set__
    set_name(cls, f"{NATIVE_MODULE}.{cls.__qualname__.rpartition('.')[2]}")


class NativeEnumType(enum.EnumMeta):
    """Shows enums as native classes."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return cls.__qualname__.rpartition(".")[2]

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__qualname__}'>"


class NativeEnum(enum.Enum, metaclass=NativeEnumType):
    """Compares with, hashes as and indexes like its number, but is no int and is not replaced by one."""

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, NativeEnum) else other))

    def __hash__(self) -> int:
        return hash(self.value)

    def __int__(self) -> int:
        return int(self.value)

    __index__ = __int__


class ErrorCode(NativeEnum):
    """The codes of a `TritonError`."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7


class LogLevel(NativeEnum):
    """The levels of `Logger`."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    VERBOSE = 3


class MemoryType(NativeEnum):
    """Where a tensor lives."""

    TRITONSERVER_MEMORY_GPU = 0
    TRITONSERVER_MEMORY_CPU = 1


class MetricKind(NativeEnum):
    """What kind of series a metric family has."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2


def _rename(native: type, qualname: str) -> None:
    native.__module__ = NATIVE_MODULE
    native.__qualname__ = qualname
    _named_natively(native)


_rename(ErrorCode, "TritonError.__ErrorCode")
_rename(LogLevel, "Logger.LogLevel")
_rename(MemoryType, "MemoryType")
_rename(MetricKind, "MetricKind")


class NativeType(type):
    """Keeps enum members that a class shows as attributes from being replaced; names classes as C code would."""

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if cls.__module__ == NATIVE_MODULE:
            _named_natively(cls)

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return cls.__qualname__.rpartition(".")[2]

    def __setattr__(cls, name: str, value: Any) -> None:
        if isinstance(cls.__dict__.get(name), NativeEnum):
            raise AttributeError(f"property of '{NativeType.__qualname__}' object has no setter")
        super().__setattr__(name, value)


NativeType.__module__ = "pybind11_builtins"
NativeType.__qualname__ = "pybind11_type"


class NativeObject(metaclass=NativeType):
    """What native classes have in common: no attributes of the model's own, no copies, no pickles."""

    __slots__ = ("__weakref__",)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__module__}.{type(self).__qualname__}' object")


class Unconstructible(NativeObject):
    """A native class whose objects come from the stub only."""

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{type(self).__module__}.{type(self).__qualname__}: No constructor defined!")
