from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyserve_stub import arguments
from pyserve_stub.arguments import MismatchError, Parameter, Signature

MAKE = Signature(
    "__init__",
    Parameter("message", "str", arguments.text),
    Parameter("code", "int", arguments.UINT32, 7),
    returns="m.Thing",
)
CALL = Signature(
    "call",
    Parameter("arg0", "int", arguments.INT64, positional_only=True),
    returns="None",
    receiver="m.Thing",
)


def test_binds_positions_keywords_and_defaults() -> None:
    assert MAKE.bind(("a",), {}) == ("a", 7)
    assert MAKE.bind((), {"code": 1, "message": b"b"}) == ("b", 1)
    assert CALL.bind((np.int8(-3),), {}) == (-3,)


@pytest.mark.parametrize(
    ("args", "kwargs", "invoked"),
    [
        ((), {}, ""),
        ((1,), {}, "1"),
        (("a", 1, 2), {}, "'a', 1, 2"),
        (("a",), {"other": 1}, "'a'; kwargs: other=1"),
        (("a",), {"message": "b"}, "'a'; kwargs: message='b'"),
        ((), {"message": None}, "kwargs: message=None"),
        (("a", -1), {}, "'a', -1"),
    ],
)
def test_a_mismatch_lists_the_signature_and_the_invocation(args: Any, kwargs: Any, invoked: str) -> None:
    with pytest.raises(TypeError) as caught:
        MAKE.bind(args, kwargs)
    assert str(caught.value) == (
        "__init__(): incompatible constructor arguments. The following argument types are supported:\n"
        f"    1. m.Thing(message: str, code: int = 7)\n\nInvoked with: {invoked}"
    )


def test_a_method_shows_its_receiver_and_refuses_keywords_for_unnamed_parameters() -> None:
    with pytest.raises(TypeError) as caught:
        CALL.bind((), {"arg0": 1}, ("me",))
    assert str(caught.value) == (
        "call(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: m.Thing, arg0: int) -> None\n\nInvoked with: 'me'; kwargs: arg0=1"
    )


ARRAY = np.zeros(1)

ACCEPTED = [
    (arguments.text, "a", "a"),
    (arguments.text, b"a", "a"),
    (arguments.text, np.str_("a"), "a"),
    (arguments.text, bytearray(b"a"), "a"),
    (arguments.UINT32, True, 1),
    (arguments.UINT32, 2**32 - 1, 2**32 - 1),
    (arguments.INT64, np.int64(-5), -5),
    (arguments.UINT64, 2**64 - 1, 2**64 - 1),
    (arguments.number, 1, 1.0),
    (arguments.number, np.float32(0.5), 0.5),
    (arguments.truth, None, False),
    (arguments.truth, 3, True),
    (arguments.truth, np.bool_(False), False),
    (arguments.anything, None, None),
    (arguments.something, 0, 0),
    (arguments.array, ARRAY, ARRAY),
    (arguments.native(int, optional=True), None, None),
    (arguments.native(int), 3, 3),
    (arguments.sequence_of(arguments.text), ("a", b"b"), ["a", "b"]),
    (arguments.sequence_of(arguments.text), np.array(["a"]), ["a"]),
]

REFUSED = [
    *((arguments.text, value) for value in (None, 1, ["a"], "\ud800")),
    *((arguments.UINT32, value) for value in (-1, 2**32, 1.0, "1", None, np.float32(1))),
    *((arguments.INT64, value) for value in (2**63, -(2**63) - 1)),
    *((arguments.number, value) for value in ("1", b"1", None, [1])),
    *((arguments.truth, value) for value in ("x", [1])),
    (arguments.something, None),
    *((arguments.array, value) for value in ([1], 1.0, None, np.float32(1))),
    (arguments.native(int), None),
    (arguments.native(int, optional=True), "x"),
    *((arguments.sequence_of(arguments.text), value) for value in (None, "ab", b"ab", {"a"}, {"a": 1}, iter("a"), [1])),
]


@pytest.mark.parametrize(("convert", "value", "expected"), ACCEPTED)
def test_converts(convert: Callable[[Any], Any], value: Any, expected: Any) -> None:
    converted = convert(value)
    assert converted is expected or converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(("convert", "value"), REFUSED)
def test_refuses(convert: Callable[[Any], Any], value: Any) -> None:
    with pytest.raises(MismatchError):
        convert(value)


def test_bytes_that_are_no_text_are_said_to_be_so() -> None:
    with pytest.raises(UnicodeDecodeError):
        arguments.text(b"\xff")
