"""Figures as people read them: bytes, counts, times, percentages. Pure.

`widgets/format.js` says the same in the browser, and a table of examples holds both to it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def nbytes(value: float) -> str:
    """'1.5 MiB'."""
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{_fixed(value, 0 if unit == 0 or value >= 100 else 1)} {_UNITS[unit]}"


def number(value: float) -> str:
    """'1,234', '12.3', '0.45'."""
    size = abs(value)
    return _fixed(value, 0 if value == int(value) or size >= 100 else 1 if size >= 10 else 2)


def percent(value: float) -> str:
    return f"{_fixed(value, 0 if value >= 10 or value == 0 else 1)} %"


def milliseconds(value: float) -> str:
    """'450 µs', '1.23 ms'."""
    return f"{_fixed(value * 1000, 0)} µs" if value < 0.9995 else f"{number(value)} ms"


def seconds(value: float) -> str:
    """'0.5 s', '2 h 1 min'."""
    if value < 60:
        return f"{_fixed(value, 1 if value < 10 else 0)} s"
    minutes, rest = divmod(int(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def shown(value: float | None, form: Callable[[float], str]) -> str:
    """The figure, or nothing where there is none."""
    return "" if value is None else form(value)


def _fixed(value: float, digits: int) -> str:
    """Halves go up, as they do in a browser."""
    return f"{Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"
