"""Why a text is not JSON, in RapidJSON's words and with its offsets.

Starts from what the standard parser found and looks around that place only, so that a large faulty text costs little
more than a good one. Texts are Latin-1 views of the bytes: one character, one byte.
"""

from __future__ import annotations

import json
import re
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError

RARE_LITERAL: Final = "a literal that only RapidJSON knows"
TRAILING_NUL: Final = "a NUL, which RapidJSON takes for the end"

_LITERALS: Final = ("null", "true", "false", "NaN", "Infinity", "-NaN", "-Infinity")
_BAD_HEX: Final = "Incorrect hex digit after \\u escape in string."
_BAD_ESCAPE: Final = "Invalid escape character in string."
_NO_QUOTE: Final = "Missing a closing quotation mark in string."
STRING_REASONS: Final = frozenset({_BAD_HEX, _BAD_ESCAPE, _NO_QUOTE})
_SPACES = re.compile(r"[ \t\n\r]*")
_RARE = re.compile(r"-NaN|-?Inf(?!i)")
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}")
_HIGH_SURROGATE = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})")


class JsonSyntaxError(PyServeError):
    """The text is not JSON; INTERNAL, because Triton says so."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(Code.INTERNAL, f"failed to parse the request JSON buffer: {reason} at {offset}")
        self.reason = reason
        self.offset = offset


def explain(text: str, reason: str, at: int) -> tuple[str, int]:
    """RapidJSON's reason and offset for those of the standard library, or one of the two marks above."""
    start = _skip_space(text, 0)
    if text[start : start + 1] in ("", "\0"):
        return "The document is empty.", start
    if reason.startswith("Illegal trailing comma"):
        at = _skip_space(text, at + 1)
        reason = "Expecting value" if text[at : at + 1] == "]" else "Expecting property name"
    if reason.startswith("Expecting value"):
        return _explain_literal(text, at)
    if reason.startswith("Expecting property name"):
        return "Missing a name for object member.", at
    if reason.startswith("Expecting ':'"):
        return "Missing a colon after a name of object member.", at
    if reason.startswith(("Extra data", "Expecting ','")):
        return _explain_number(text, at) or _explain_end(text, at, root=reason.startswith("Extra data"))
    return _explain_string(text, reason, at)


def check_surrogates(text: str, end: int) -> None:
    """Refuses the first half of a surrogate pair without the second, which the standard parser lets pass."""
    found = _HIGH_SURROGATE.search(text.replace("\\\\", "__"), 0, end)
    if found is None:
        return
    rest = text[found.end() : found.end() + 6]
    incomplete = rest.startswith("\\u") and not _ESCAPE.fullmatch(rest)
    raise JsonSyntaxError(_BAD_HEX if incomplete else "The surrogate pair in string is invalid.", found.start())


def unescaped(text: str) -> str:
    """The same text, just as long, with escaped backslashes and quotes blanked out."""
    return text.replace("\\\\", "__").replace('\\"', "__") if "\\" in text else text


def _explain_end(text: str, at: int, *, root: bool) -> tuple[str, int]:
    """A value is complete, and what follows belongs to nothing."""
    if root:
        reason = "The document root must not be followed by other values."
        return TRAILING_NUL if text[at] == "\0" else reason, at
    if _inside_object(text[:at]):
        return "Missing a comma or '}' after an object member.", at
    return "Missing a comma or ']' after an array element.", at


def _explain_literal(text: str, at: int) -> tuple[str, int]:
    rest = text[at : at + 9]
    if _RARE.match(rest):
        return RARE_LITERAL, at
    return "Invalid value.", at + max(_shared(rest, literal) for literal in _LITERALS)


def _explain_number(text: str, at: int) -> tuple[str, int] | None:
    """What is missing where a number goes on in a way that Python does not take for a number's."""
    if text[at : at + 1] not in (".", "e", "E") or not text[at - 1].isdigit():
        return None
    token = text[max(text.rfind(before, 0, at) for before in ',:[ \t\n\r"') + 1 : at].lower()
    if "e" in token or (text[at] == "." and "." in token):
        return None
    if text[at] == ".":
        return "Miss fraction part in number.", at + 1
    return "Miss exponent in number.", at + 1 + (text[at + 1 : at + 2] in ("+", "-"))


def _explain_string(text: str, reason: str, at: int) -> tuple[str, int]:
    if reason.startswith("Unterminated string"):
        escapes = len(text) - len(text.rstrip("\\"))
        return (_BAD_ESCAPE, len(text) - 1) if escapes % 2 else (_NO_QUOTE, len(text))
    if reason.startswith("Invalid \\u"):
        start = text[: at + 1].replace("\\\\", "__").rfind("\\u")
        # An escape at the very end of the text is complete, the string is not.
        return (_NO_QUOTE, len(text)) if _ESCAPE.fullmatch(text[start:]) else (_BAD_HEX, start)
    if reason.startswith("Invalid control character") and text[at] == "\0":
        return _NO_QUOTE, at
    return _BAD_ESCAPE, at


def _inside_object(prefix: str) -> bool:
    """Whether the innermost open bracket of a valid beginning is an object's: a colon is what it would miss next."""
    reason = ""
    try:
        json.loads(prefix + ',"" ""')
    except json.JSONDecodeError as error:
        reason = error.msg
    return reason.startswith("Expecting ':'")


def _shared(text: str, literal: str) -> int:
    """How many characters of a literal a text begins with."""
    count = 0
    while count < min(len(text), len(literal)) and text[count] == literal[count]:
        count += 1
    return count


def _skip_space(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return at if found is None else found.end()
