from __future__ import annotations

import enum
import math
import pathlib
import re
import types
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

from jupyter_pyserve.notebook.inclusion.constants import TooLong, expression


class Color(enum.Enum):
    RED = 1


@dataclass
class Options:
    size: int
    names: tuple[str, ...] = ()


Pair = namedtuple("Pair", "a b")


def name(kind: type | types.ModuleType) -> str:
    return kind.__name__


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.5,
        1j,
        "x'\n",
        b"\x00",
        math.inf,
        (),
        (1,),
        [1, [2]],
        {"a": {"b": (1, 2)}},
        set(),
        {1, 2},
        frozenset(),
        frozenset({"a"}),
        range(3),
        Color.RED,
        {Color.RED: Options(2, ("a",))},
        Pair(1, 2),
        re.compile("a+", re.IGNORECASE),
        pathlib.PurePosixPath("/a/b"),
    ],
)
def test_an_expression_makes_the_value_again(value: object) -> None:
    text = expression(value, name)
    assert text is not None
    known = {"Color": Color, "Options": Options, "Pair": Pair, "re": re, "PurePosixPath": pathlib.PurePosixPath}
    assert eval(text, known) == value


@pytest.mark.parametrize(
    "value",
    [np.float32(0.1), np.float64(-math.inf), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.complex64(1j)],
)
def test_a_number_of_numpy_keeps_its_type(value: np.generic) -> None:
    text = expression(value, name)
    assert text is not None
    again = eval(text, {"numpy": np})
    assert type(again) is type(value)
    assert again == value


def test_an_array_is_no_constant() -> None:
    assert expression(np.ones(()), name) is None
    assert expression(np.ones(1), name) is None
    assert expression(np.longdouble(1), name) is None


def test_a_number_that_is_none_is_none_again() -> None:
    assert math.isnan(eval(expression(math.nan, name) or ""))


def test_a_set_has_one_text_whatever_its_order() -> None:
    assert expression({"b", "a", "c"}, name) == "{'a', 'b', 'c'}"


@pytest.mark.parametrize("value", [object(), [object()], Options, len, types.SimpleNamespace()])
def test_what_is_no_constant(value: object) -> None:
    assert expression(value, name) is None


def test_a_class_that_can_not_come_along_is_no_constant() -> None:
    assert expression(Color.RED, lambda kind: None) is None


def test_a_circle_is_no_constant() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert expression(circle, name) is None


def test_a_long_one_says_how_long() -> None:
    with pytest.raises(TooLong) as caught:
        expression("x" * 10_000, name)
    assert caught.value.args == (10_002,)
