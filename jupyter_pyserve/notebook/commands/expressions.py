"""A line with Python expressions in it, as `%pyserve infer NAME INPUT0=[[1, 2]] --timeout 5` has them. Pure text.

`NAME=` begins an expression, which goes on until the next one or the next option. Quotes and spaces of expressions
are kept; of all else they mean what they mean in a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from jupyter_pyserve.errors import Code, PyServeError

_INPUT = re.compile(r"(?P<name>[\w.:/-]+)=(?!=)(?P<expression>.*)", re.DOTALL)
_OPTION = re.compile(r"--?[A-Za-z]")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def split(line: str, with_value: Sequence[str] = ()) -> tuple[list[str], dict[str, str]]:
    """The other words of a line, and the expressions by input; `with_value` are options whose next word is theirs."""
    plain: list[str] = []
    found: dict[str, str] = {}
    current = ""
    for word in _words(line):
        match = _INPUT.fullmatch(word)
        if plain and plain[-1] in with_value and not current:
            plain.append(_unquoted(word, line))
        elif _OPTION.match(word):
            plain.append(word if "=" not in word else _unquoted(word, line))
            current = ""
        elif match is not None:
            current = match["name"]
            found[current] = match["expression"]
        elif current:
            found[current] += f" {word}"
        else:
            plain.append(_unquoted(word, line))
    return plain, {name: text.strip() for name, text in found.items()}


def _words(line: str) -> list[str]:
    """At spaces outside of brackets and quotes."""
    words, start, opened, quote = [], 0, list[str](), ""
    place = 0
    while place < len(line):
        char = line[place]
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _CLOSING:
            opened.append(_CLOSING[char])
        elif opened and char == opened[-1]:
            opened.pop()
        elif char.isspace() and not opened:
            words.append(line[start:place])
            start = place + 1
        place += 1
    if quote or opened:
        missing = quote or opened[-1]
        raise PyServeError(Code.INVALID_ARG, f"no closing {missing} in: {line}")
    return [word for word in (*words, line[start:]) if word.strip()]


def _unquoted(word: str, line: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError as error:
        raise PyServeError(Code.INVALID_ARG, f"{str(error).lower()} in: {line}") from error
