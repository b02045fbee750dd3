"""Takes out of an answer what differs between runs, interpreters and servers: paths, clocks, inner frames."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast

from tests.golden.exchange import Answer

_ADDRESS = re.compile(r"0x[0-9a-f]{8,}")
#: Frames of Python's own library, in text that is JSON, or JSON inside of JSON.
_LIBRARY = re.compile(
    r"\\\\?n  (?:<frozen importlib|[^\\]*/lib/python3\.\d+/(?!site-packages)|[^\\]*/triton_python_backend_utils\.py\()"
    r"[^\\]*\): \w+(?=\\)"
)
_NOWHERE = re.compile(r'(?:\\\\?n){2}At:\\\\?n(?=\\?")')
_PATTERNS = (
    (re.compile(r'"last_inference":[1-9]\d*'), '"last_inference":"<time>"'),
    (re.compile(r'("count":[1-9]\d*),"ns":\d+'), r'\1,"ns":"<duration>"'),
    (re.compile(r"(searched: '[^']*' '[^']*') '[^']*'"), r"\1 '<backend>'"),
)


def normalised(answers: list[Answer], paths: Mapping[str, str]) -> list[Answer]:
    """`paths` maps each path that may appear in a text to its placeholder."""
    text = _ADDRESS.sub("0x<address>", json.dumps(answers, ensure_ascii=False))
    text = _NOWHERE.sub("", _LIBRARY.sub("", text))
    for path, placeholder in paths.items():
        text = text.replace(path, placeholder)
    return [_normalised(answer) for answer in cast(list[Answer], json.loads(text))]


def _normalised(answer: Answer) -> Answer:
    body = answer.get("body")
    if not isinstance(body, str):
        return answer
    for pattern, replacement in _PATTERNS:
        body = pattern.sub(replacement, body)
    return {**answer, "body": body}


def shown(datatype: str, shape: list[int], elements: list[object]) -> object:
    """A tensor, in short: plain lists of text stay what they are."""
    return elements if datatype == "BYTES" and len(shape) == 1 else f"{datatype}{shape} {json.dumps(elements)}"
