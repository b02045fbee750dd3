from __future__ import annotations

import copy
import json
import pickle
import weakref

import pytest
from pyserve_stub.vocabulary import (
    NATIVE_MODULE,
    ErrorCode,
    LogLevel,
    MemoryType,
    MetricKind,
    NativeEnum,
    NativeObject,
    Unconstructible,
)

ENUMS = [
    (ErrorCode, "UNKNOWN INTERNAL NOT_FOUND INVALID_ARG UNAVAILABLE UNSUPPORTED ALREADY_EXISTS CANCELLED"),
    (LogLevel, "INFO WARNING ERROR VERBOSE"),
    (MemoryType, "TRITONSERVER_MEMORY_GPU TRITONSERVER_MEMORY_CPU"),
    (MetricKind, "COUNTER GAUGE HISTOGRAM"),
]


@pytest.mark.parametrize(("enum", "names"), ENUMS)
def test_members_are_numbered_in_order(enum: type[NativeEnum], names: str) -> None:
    assert [(member.name, member.value) for member in enum] == [(n, i) for i, n in enumerate(names.split())]
    assert enum.__module__ == NATIVE_MODULE


def test_a_member_is_like_its_number_but_is_no_int() -> None:
    member = ErrorCode.INTERNAL
    assert member == 1
    assert member != 2
    assert member == MetricKind.GAUGE
    assert member != "INTERNAL"
    assert hash(member) == hash(1)
    assert int(member) == 1
    assert "ab"[member] == "b"
    assert not isinstance(member, int)
    with pytest.raises(TypeError):
        json.dumps(member)


def test_members_are_written_as_pybind11_writes_them() -> None:
    assert repr(ErrorCode.INTERNAL) == "<__ErrorCode.INTERNAL: 1>"
    assert str(ErrorCode.INTERNAL) == "__ErrorCode.INTERNAL"
    assert ErrorCode.__qualname__ == "TritonError.__ErrorCode"


class Plain(NativeObject):
    __slots__ = ()
    __module__ = NATIVE_MODULE

    ONE = ErrorCode.INTERNAL


def test_native_objects_take_no_attributes_and_are_not_copied() -> None:
    plain = Plain()
    with pytest.raises(AttributeError):
        plain.anything = 1  # type: ignore[attr-defined]
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"^cannot pickle 'c_python_backend_utils.Plain' object$"):
            duplicate(plain)
    assert weakref.ref(plain)() is plain


def test_enum_members_on_a_class_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError, match="has no setter"):
        Plain.ONE = ErrorCode.UNKNOWN
    assert Plain.ONE is ErrorCode.INTERNAL
    Plain.other = 3


def test_unconstructible_says_so() -> None:
    with pytest.raises(TypeError, match=r"^pyserve_stub.vocabulary.Unconstructible: No constructor defined!$"):
        Unconstructible()
