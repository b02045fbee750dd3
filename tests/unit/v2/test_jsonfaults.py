from __future__ import annotations

import json

import pytest

from jupyter_pyserve.errors import Code
from jupyter_pyserve.v2.jsonfaults import JsonSyntaxError, check_surrogates, explain, unescaped


def fault(text: str) -> tuple[str, int]:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.JSONDecoder().decode(text)
    return explain(text, caught.value.msg, caught.value.pos)


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [
        (" \n", "The document is empty.", 2),
        ("{bad", "Missing a name for object member.", 1),
        ('{"a":1, }', "Missing a name for object member.", 8),
        ('{"a" 1}', "Missing a colon after a name of object member.", 5),
        ('{"a":1 "b"', "Missing a comma or '}' after an object member.", 7),
        ('[{"a":[1]} 2]', "Missing a comma or ']' after an array element.", 11),
        ("[1, ]", "Invalid value.", 4),
        ("[nulx]", "Invalid value.", 4),
        ("[-Infinite]", "Invalid value.", 9),
        ("[1] 2", "The document root must not be followed by other values.", 4),
        ("[1.x]", "Miss fraction part in number.", 3),
        ("[1e+x]", "Miss exponent in number.", 4),
        ("[1.5.2]", "Missing a comma or ']' after an array element.", 4),
        ("[1e5e2]", "Missing a comma or ']' after an array element.", 4),
        ('["a', "Missing a closing quotation mark in string.", 3),
        ('["a\0"]', "Missing a closing quotation mark in string.", 3),
        ('["\\u00e9', "Missing a closing quotation mark in string.", 8),
        ('["\\u00x9"]', "Incorrect hex digit after \\u escape in string.", 2),
        ('["\\x"]', "Invalid escape character in string.", 2),
        ('["a\\', "Invalid escape character in string.", 3),
        ('["\n"]', "Invalid escape character in string.", 2),
    ],
)
def test_rapidjson_would_say(text: str, reason: str, offset: int) -> None:
    assert fault(text) == (reason, offset)


@pytest.mark.parametrize(
    ("text", "reason", "offset"),
    [("[1 , ]", "Invalid value.", 5), ('{"a":1 ,}', "Missing a name for object member.", 8)],
)
def test_trailing_commas_as_newer_pythons_tell_of_them(text: str, reason: str, offset: int) -> None:
    assert explain(text, "Illegal trailing comma before end of it", text.index(",")) == (reason, offset)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('"\\ud800"', "The surrogate pair in string is invalid."),
        ('"\\ud800\\u0041"', "The surrogate pair in string is invalid."),
        ('"\\ud800\\u00g1"', "Incorrect hex digit after \\u escape in string."),
    ],
)
def test_half_a_pair(text: str, reason: str) -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        check_surrogates(text, len(text))
    assert (caught.value.reason, caught.value.offset, caught.value.code) == (reason, 1, Code.INTERNAL)


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\ud800"', '"\\udc00"'])
def test_whole_pairs_and_what_only_looks_like_half_of_one(text: str) -> None:
    check_surrogates(text, len(text))


def test_only_what_comes_before_the_end_counts() -> None:
    check_surrogates('"a" \\ud800', 4)


def test_blanking_keeps_every_position() -> None:
    assert unescaped('"\\\\" \\" \\n') == '"__" __ \\n'
