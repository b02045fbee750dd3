from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.notebook.argument_types import TensorOption, key_value, seconds, tensor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("INPUT0:FP32:-1", ("INPUT0", "FP32", (-1,), False)),
        ("x:TYPE_UINT8:224,224,3", ("x", "UINT8", (224, 224, 3), False)),
        ("x:int64:[4, -1]", ("x", "INT64", (4, -1), False)),
        ("x:BYTES:1:optional", ("x", "STRING", (1,), True)),
        ("serving:0:BF16:1", ("serving:0", "BF16", (1,), False)),
    ],
)
def test_a_tensor(text: str, expected: tuple[str, str, tuple[int, ...], bool]) -> None:
    name, data_type, dims, optional = expected
    assert tensor(text) == TensorOption(name=name, data_type=data_type, dims=dims, optional=optional)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "NAME:TYPE:DIMS"),
        ("x:FP32", "NAME:TYPE:DIMS"),
        ("x:FP32:", "NAME:TYPE:DIMS"),
        (":FP32:1", "NAME:TYPE:DIMS"),
        ("x:float32:1", "did you mean FP32"),
        ("x:FP8:1", "is not a type"),
        ("x:FP32:0", "a dimension is"),
        ("x:FP32:-2", "a dimension is"),
        ("x:FP32:1,,2", "not a list of whole numbers"),
    ],
)
def test_what_is_no_tensor(text: str, problem: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=problem):
        tensor(text)


def test_parameters_keep_what_follows_the_first_equals_sign() -> None:
    assert key_value("a=b=c") == ("a", "b=c")
    for text in ("a", "=b"):
        with pytest.raises(argparse.ArgumentTypeError, match="KEY=VALUE"):
            key_value(text)


def test_seconds() -> None:
    assert seconds("0.5") == 0.5
    for text in ("-1", "nan", "inf", "soon"):
        with pytest.raises(argparse.ArgumentTypeError, match="not a number of seconds"):
            seconds(text)
