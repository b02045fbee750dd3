"""JSON as Triton writes it: compact, floats the way RapidJSON prints doubles, strings as raw UTF-8.

Large arrays go through the standard library's C encoder; only numbers that it spells differently are redone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.rapidjson import encode
from jupyter_pyserve.v2.tensors import unpack_elements

_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_CONTROL = re.compile(r'["\\\x00-\x1f]')
_SHORT_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def dumps(value: object) -> bytes:
    """Any JSON value, with the members in their order."""
    return encode(_text(value))


def quote(text: str) -> str:
    """A JSON string; controls are `\\u001F`, upper case, everything beyond ASCII stays as it is."""
    return f'"{_CONTROL.sub(_escape, text)}"'


def number(value: float) -> str:
    """A double: shortest digits, plain from 1e-6 up to 1e21, otherwise like `1.5e-7`; `NaN`, `Infinity` bare."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent_text = text.partition("e")
    exponent = int(exponent_text)
    sign = "-" if mantissa[0] == "-" else ""
    digits = mantissa.lstrip("-").replace(".", "").removesuffix("0") or "0"
    if 0 <= exponent < 21:
        return f"{sign}{digits.ljust(exponent + 1, '0')}.0"
    if -6 <= exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return f"{mantissa.removesuffix('.0')}e{exponent}"


def tensor(datatype: str, data: memoryview) -> bytes:
    """The elements of a tensor as a flat JSON array."""
    if datatype in ("FP16", "BF16"):
        advice = "Please use the binary data format for output"
        raise PyServeError(Code.INVALID_ARG, f"sending {datatype} data via JSON is not supported. {advice}")
    row = TABLE[datatype]
    if row.is_bytes:
        elements = (element.decode("utf-8", "surrogateescape") for element in unpack_elements(data))
        return encode(f"[{','.join(map(quote, elements))}]")
    array = np.frombuffer(data, row.numpy)
    if datatype == "BOOL":
        return _ENCODER.encode((array.view(np.uint8) != 0).tolist()).encode("ascii")
    if datatype.startswith("FP"):
        return _floats(array.astype("<f8")).encode("ascii")
    return _ENCODER.encode(array.tolist()).encode("ascii")


def _floats(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    size = np.abs(array)
    # Between these bounds repr and RapidJSON agree.
    odd = np.flatnonzero(~((size == 0) | ((size >= 1e-4) & (size < 1e16))))
    values = array.tolist()
    if not odd.size:
        return _ENCODER.encode(values)
    texts = list(map(repr, values))
    for index in odd.tolist():
        texts[index] = number(values[index])
    return f"[{','.join(texts)}]"


def _escape(found: re.Match[str]) -> str:
    char = found.group()
    return _SHORT_ESCAPES.get(char) or f"\\u{ord(char):04X}"


def _text(value: object) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return f"{{{','.join(_members(value))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_text, value))}]"
    return _ENCODER.encode(value)


def _members(mapping: Mapping[object, object]) -> Iterable[str]:
    return (f"{quote(str(key))}:{_text(value)}" for key, value in mapping.items())
