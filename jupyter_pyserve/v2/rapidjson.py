"""JSON as Triton reads it: the lenient grammar of its RapidJSON set-up, its limits and its error texts.

The standard library parses; a text that it refuses is looked at a second time, for what RapidJSON would have accepted.
Knows nothing of what the JSON means.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.jsonfaults import (
    RARE_LITERAL,
    STRING_REASONS,
    TRAILING_NUL,
    JsonSyntaxError,
    check_surrogates,
    explain,
    unescaped,
)

MAX_DEPTH: Final = 100

_NOT_STRUCTURE: Final = bytes(set(range(256)) - set(b'"[]{}'))
_BOM: Final = b"\xef\xbb\xbf"
_TOO_BIG: Final = "Number too big to be stored in double."
# Literals that no common encoder writes are understood in texts up to this size only: finding them is not free.
_MAX_RARE_LITERALS: Final = 1 << 20

# In larger texts only numbers that somebody reads are checked.
_MAX_SEARCHED: Final = 1 << 16

_LARGE_EXPONENT = re.compile(rb"[eE]\+?[0-9]{3}")
_STRING_OR_RARE = re.compile(r'"[^"]*"?|-NaN|-?Inf(?!i)')
_HUGE_NUMBER = re.compile(r"(?<![0-9.])-?[0-9]+(?:\.[0-9]*)?[eE]\+?[0-9]{2,}|(?<![0-9.])-?[0-9]{309,}")


def loads(raw: bytes) -> object:
    """Parses a document; of equal names in an object the first one counts.

    Strings that are not UTF-8 keep their bytes as surrogate escapes; `encode` restores them.
    """
    check_depth(raw)
    raw = raw.removeprefix(_BOM)
    try:
        value = _DECODER.decode(raw.decode("utf-8", "surrogateescape"))
    except json.JSONDecodeError as error:
        return _recover(raw, error)
    except ValueError:
        # An integer with more digits than Python converts.
        too_big(raw)
    if b"\\ud" in raw or b"\\uD" in raw:
        check_surrogates(raw.decode("latin-1"), len(raw))
    if len(raw) <= _MAX_SEARCHED and _LARGE_EXPONENT.search(raw):
        check_numbers(raw)  # whoever reads a tensor's data asks for it there
    return value


def encode(text: str) -> bytes:
    """The bytes of a string that `loads` returned."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        # A lone low surrogate, written as an escape: RapidJSON stores its code point as it is.
        return text.encode("utf-8", "surrogatepass")


def check_depth(raw: bytes) -> None:
    """Refuses what would nest too deep, before anything recurses over it."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    # Whether a bracket is inside a string depends only on how many quotes precede it, so pairs of quotes may go.
    plain = raw.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in raw else raw
    structure = plain.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if _depth_of(structure) > MAX_DEPTH:
        message = f"JSON nesting depth exceeds maximum allowed limit ({MAX_DEPTH})"
        raise PyServeError(Code.INVALID_ARG, message)


def check_numbers(raw: bytes) -> None:
    """Refuses numbers beyond a double's range; called only when an infinity or an overflow has come out."""
    masked = unescaped(raw.decode("latin-1"))
    quotes, counted = 0, 0
    for found in _HUGE_NUMBER.finditer(masked):
        quotes += masked.count('"', counted, found.start())
        counted = found.start()
        if quotes % 2 == 0 and abs(float(found.group())) == float("inf"):
            raise JsonSyntaxError(_TOO_BIG, found.start())


def too_big(raw: bytes) -> NoReturn:
    """For a number that could not be converted at all."""
    check_numbers(raw)
    raise JsonSyntaxError(_TOO_BIG, 0)


def _first_wins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        members.update(reversed(pairs))
    return members


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_first_wins)


def _depth_of(structure: bytes) -> int:
    symbols = np.frombuffer(structure, np.uint8)
    if b'"' in structure:
        quotes = symbols == ord('"')
        inside = np.cumsum(quotes, dtype=np.int32) & 1
        symbols = symbols[(inside == 0) & ~quotes]
    # Of the four brackets only the openers, 0x5b and 0x7b, have this bit.
    steps = (symbols & 2).astype(np.int8) - 1
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def _recover(raw: bytes, error: json.JSONDecodeError) -> object:
    """Second look at a text that the standard parser refused: what RapidJSON accepts passes, the rest is explained."""
    at = len(encode(error.doc[: error.pos]))
    # One character per byte, so that positions are offsets.
    text = raw.decode("latin-1")
    reason, at = explain(text, error.msg, at)
    if reason == TRAILING_NUL:
        return loads(raw[:at])
    if reason == RARE_LITERAL:
        if len(text) <= _MAX_RARE_LITERALS:
            return _respelled(text)
        reason = "Invalid value."
    # An escape at fault may itself be half a pair; elsewhere only what came before counts.
    check_surrogates(text, at + 6 if reason in STRING_REASONS else at)
    raise JsonSyntaxError(reason, at)


def _respelled(text: str) -> object:
    """Parses a text with literals that only RapidJSON knows, by writing them as others do."""
    parts: list[str] = []
    grown: list[int] = []
    done = 0
    for found in _STRING_OR_RARE.finditer(unescaped(text)):
        word = found.group()
        if word[0] == '"':
            continue
        parts += (text[done : found.start()], " NaN" if word == "-NaN" else f"{word}inity")
        done = found.end()
        if word != "-NaN":
            grown.append(done + 5 * len(grown))
    try:
        return loads("".join((*parts, text[done:])).encode("latin-1"))
    except JsonSyntaxError as error:
        shift = 5 * sum(end < error.offset for end in grown)
        raise JsonSyntaxError(error.reason, error.offset - shift) from None
