from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.types import Restrict, header_pattern, level, number
from jupyter_pyserve.settings import Category, Key


def read(*values: str, option: str = "--http-restricted-api") -> object:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument(option, action=Restrict, default={}, dest="found" + option.replace("-", "_"))
    found = parser.parse_args([f"{option}={value}" for value in values])
    return getattr(found, "found" + option.replace("-", "_"))


def test_restrictions_are_gathered() -> None:
    key, admin = Key("k", "v"), Key("admin", "a=b:c")
    assert read() == {}
    assert read("inference,metadata:k=v", "model-repository:admin=a=b:c") == {
        Category.INFERENCE: key,
        Category.METADATA: key,
        Category.MODEL_REPOSITORY: admin,
    }
    assert read() == {}


@pytest.mark.parametrize(
    ("option", "values", "text"),
    [
        ("--http-restricted-api", ["nothing,health:k=v"], "unknown restricted api 'nothing' "),
        (
            "--http-restricted-api",
            ["health:a=b", "trace,health:k=v"],
            "restricted api 'health' can not be specified in multiple config groups",
        ),
        *(
            (
                "--http-restricted-api",
                [text],
                f"--http-restricted-api option format is '<config name>:<setting>=<value>'. Got {text}",
            )
            for text in ("health", "health:k", "health:=v", "health:k=", ":k=v")
        ),
    ],
)
def test_restrictions_that_are_none(option: str, values: list[str], text: str) -> None:
    with pytest.raises(argparse.ArgumentError) as caught:
        read(*values, option=option)
    assert caught.value.message == text


def test_patterns_of_headers() -> None:
    assert header_pattern("(?-i)x-.*") == "(?-i)x-.*"
    with pytest.raises(argparse.ArgumentTypeError, match="invalid regular expression"):
        header_pattern("(")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", ""])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"Invalid option value. Got {text}"):
        number(text)
    assert number("1.5") == 1.5


@pytest.mark.parametrize(("text", "found"), [("true", 1), ("false", 0), ("3", 3), ("-1", -1)])
def test_levels(text: str, found: int) -> None:
    assert level(text) == found
