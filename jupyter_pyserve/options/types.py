"""Types of command line values, with Triton's texts for those that do not fit."""

from __future__ import annotations

import argparse
import math
from typing import Any

from jupyter_pyserve.settings import Category, Key
from jupyter_pyserve.v2.forwarding import HeaderPattern


def parse_bool(text: str) -> bool:
    """Triton's spellings of a boolean."""
    if text.lower() in ("true", "on", "1"):
        return True
    if text.lower() in ("false", "off", "0"):
        return False
    raise argparse.ArgumentTypeError(f"invalid value for bool option: {text}")


def whole_number(text: str) -> int:
    """A number without a fraction."""
    return int(_parsed(int, text))


def number(text: str) -> float:
    """A number, and a finite one."""
    found = _parsed(float, text)
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"Invalid option value. Got {text}")
    return found


def level(text: str) -> int:
    """How much of something: a number, or a flag for some and none."""
    return int(text == "true") if text in ("true", "false") else whole_number(text)


def _parsed(kind: type[int] | type[float], text: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"Invalid option value. Got {text}") from None


RESTRICTION = "CATEGORY[,CATEGORY...]:HEADER=VALUE"

_CATEGORIES = {item.value: item for item in Category}


class Restrict(argparse.Action):
    """Gathers restrictions in one mapping; a category stands in one of them only."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """One more value."""
        names, _, setting = str(values).partition(":")
        header, _, value = setting.partition("=")
        if not names or not header or not value:
            form = "'<config name>:<setting>=<value>'"
            raise argparse.ArgumentError(self, f"{option_string} option format is {form}. Got {values}")
        merged: dict[Category, Key] = dict(getattr(namespace, self.dest))
        for name in names.split(","):
            category = _CATEGORIES.get(name)
            if category is None:
                raise argparse.ArgumentError(self, f"unknown restricted api '{name}' ")
            if category in merged:
                text = f"restricted api '{name}' can not be specified in multiple config groups"
                raise argparse.ArgumentError(self, text)
            merged[category] = Key(header, value)
        setattr(namespace, self.dest, merged)


def header_pattern(text: str) -> str:
    """A regular expression for names of headers."""
    try:
        HeaderPattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
