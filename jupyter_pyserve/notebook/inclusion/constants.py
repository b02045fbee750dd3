"""Values that can be written down: a constant of the kernel as the expression that makes it again.

Equal values give equal text, so that an unchanged cell is an unchanged model. Knows no cells.
"""

from __future__ import annotations

import enum
import math
import pathlib
import re
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass

#: The longest expression that a model.py is burdened with.
LONGEST = 10_000
_PLAIN = (bool, int, str, bytes, type(None))

#: The name under which the text knows a class or module; None when it does not.
ClassName = Callable[["type | types.ModuleType"], "str | None"]


class TooLong(Exception):
    """It could be written down, and nobody would want to read it; the argument is its length."""


class _NotPlain(Exception):
    pass


def expression(value: object, class_name: ClassName) -> str | None:
    """`value` as source; None when it is no constant. Raises `TooLong`."""
    try:
        text = _written(value, class_name)
    except (_NotPlain, RecursionError):
        return None
    if len(text) > LONGEST:
        raise TooLong(len(text))
    return text


def _written(value: object, class_name: ClassName) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is float:
        return _float(float(value))  # type: ignore[arg-type]
    if kind is complex:
        return repr(value)
    if kind is dict and isinstance(value, dict):
        items = (f"{_written(key, class_name)}: {_written(item, class_name)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple | set | frozenset) and kind in (list, tuple, set, frozenset):
        return _collection(value, class_name)
    if kind is range:
        return repr(value)
    if kind.__module__ == "numpy" and not hasattr(value, "__len__"):
        return _scalar(value, class_name)
    return _object(value, class_name)


def _scalar(value: object, class_name: ClassName) -> str:
    """A number of numpy's; its boolean has had two names."""
    plain = getattr(value, "item", lambda: None)()
    if not isinstance(plain, int | float | complex):
        raise _NotPlain
    name = type(value).__name__
    made = "bool_" if name == "bool" else name
    return f"{_name(sys.modules['numpy'], class_name)}.{made}({_written(plain, class_name)})"


def _float(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _collection(value: Iterable[object], class_name: ClassName) -> str:
    items = [_written(item, class_name) for item in value]
    if isinstance(value, list):
        return f"[{', '.join(items)}]"
    if isinstance(value, tuple):
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    inner = (
        f"{{{', '.join(sorted(items))}}}" if items else ""
    )  # sorted: a set has no order that would be the same again
    return f"frozenset({inner})" if isinstance(value, frozenset) else inner or "set()"


def _object(value: object, class_name: ClassName) -> str:
    """Members of enums, instances of dataclasses and named tuples, patterns and paths, where their class is known."""
    if isinstance(value, re.Pattern):
        return f"{_name(re, class_name)}.compile({_written(value.pattern, class_name)}, {int(value.flags)})"
    if isinstance(value, enum.Enum):
        return f"{_name(type(value), class_name)}[{value.name!r}]"
    if isinstance(value, pathlib.PurePath):
        return f"{_name(type(value), class_name)}({str(value)!r})"
    if is_dataclass(value) and not isinstance(value, type):
        made = {item.name: getattr(value, item.name) for item in fields(value) if item.init}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        made = value._asdict()
    else:
        raise _NotPlain
    items = ", ".join(f"{key}={_written(item, class_name)}" for key, item in made.items())
    return f"{_name(type(value), class_name)}({items})"


def _name(kind: type | types.ModuleType, class_name: ClassName) -> str:
    name = class_name(kind)
    if name is None:
        raise _NotPlain
    return name
