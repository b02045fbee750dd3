from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.rapidjson import MAX_DEPTH, check_depth, check_numbers, encode, loads, too_big
from tests.unit.v2.echo import outcome


def test_the_first_of_equal_names_counts() -> None:
    assert loads(b'{"a":1,"b":2,"a":3}') == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[1]\0 and more", [1]),
        (b'["Inf, \\"Inf", Inf, -Inf]', ['Inf, "Inf', math.inf, -math.inf]),
        (b"[Infinity, -Infinity]", [math.inf, -math.inf]),
        (b'["\\\\",Inf]', ["\\", math.inf]),
    ],
)
def test_what_only_rapidjson_accepts(text: bytes, value: object) -> None:
    assert loads(text) == value


def test_a_negative_not_a_number() -> None:
    assert str(loads(b"[-NaN]")) == "[nan]"


def test_rare_literals_are_looked_for_in_small_texts_only() -> None:
    with pytest.raises(PyServeError) as caught:
        loads(b" " * (1 << 20) + b"[Inf]")
    assert caught.value.message == f"failed to parse the request JSON buffer: Invalid value. at {(1 << 20) + 1}"


def test_bytes_that_are_not_utf8_survive() -> None:
    assert encode(str(loads(b'"\xff\xc3 \xc3\xa9"'))) == b"\xff\xc3 \xc3\xa9"


def test_a_lone_low_surrogate_is_stored_as_its_code_point() -> None:
    assert encode("\udc00") == b"\xed\xb0\x80"


@given(st.text())
def test_strings_come_back_as_they_were(text: str) -> None:
    raw = json.dumps(text, ensure_ascii=False).encode()
    assert encode(str(loads(raw))) == text.encode()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    loads(opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH)
    for text in (opening * (MAX_DEPTH + 1) + b"1" + closing * (MAX_DEPTH + 1), opening * 100_000):
        with pytest.raises(PyServeError) as caught:
            loads(text)
        assert caught.value.code is Code.INVALID_ARG
        assert caught.value.message == "JSON nesting depth exceeds maximum allowed limit (100)"


def test_many_brackets_that_are_not_deep() -> None:
    assert loads(b"[" + b"[],{}," * 200 + b"0]") == [[], {}] * 200 + [0]


def test_brackets_in_strings_do_not_nest() -> None:
    text = json.dumps(["[" * 200, '"[\\', "{" * 200, "]" * 50])
    assert loads(text.encode()) == json.loads(text)


def test_strings_of_closing_brackets_do_not_hide_depth() -> None:
    with pytest.raises(PyServeError):
        check_depth((b'["]]]",') * 150)


def nested(depth: int, strings: list[str]) -> Any:
    value: Any = strings
    for text in strings * 3:
        value = [text, value] if len(text) % 2 else {text: value}
    for _ in range(depth):
        value = [value]
    return value


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(st.integers(85, 105), st.lists(st.text('[]{}"\\a', max_size=5), max_size=5))
def test_depth_is_what_recursion_would_count(depth: int, strings: list[str]) -> None:
    value = nested(depth, strings)
    raw = json.dumps(value).encode()
    if depth_of(value) <= MAX_DEPTH:
        assert loads(raw) == value
    else:
        with pytest.raises(PyServeError):
            loads(raw)


def test_numbers_in_strings_may_be_as_large_as_they_like() -> None:
    check_numbers(b'["1e999","\\"1e999",1e308]')
    with pytest.raises(PyServeError) as caught:
        check_numbers(b'["\\"1e999",1e999]')
    assert caught.value.message.endswith("Number too big to be stored in double. at 11")


def test_a_number_that_can_not_be_found_is_refused_all_the_same() -> None:
    with pytest.raises(PyServeError) as caught:
        too_big(b"[1]")
    assert caught.value.message.endswith("Number too big to be stored in double. at 0")


def test_offsets_count_bytes() -> None:
    with pytest.raises(PyServeError) as caught:
        loads(b'["\xc3\xa9\xff", x]')
    assert caught.value.message.endswith("Invalid value. at 8")


@given(st.binary(max_size=60))
def test_any_bytes_load_or_are_refused(raw: bytes) -> None:
    result = outcome(lambda: loads(raw))
    assert not isinstance(result, PyServeError) or result.code in (Code.INTERNAL, Code.INVALID_ARG)


@given(st.text(alphabet='[]{}",:0123456789.eE+-\\u dDinfNaItrlsI\0\n/', max_size=30))
def test_almost_json_loads_or_is_refused(text: str) -> None:
    result = outcome(lambda: loads(text.encode()))
    assert not isinstance(result, PyServeError) or result.code in (Code.INTERNAL, Code.INVALID_ARG)


def test_integers_beyond_all_measure_are_refused() -> None:
    with pytest.raises(PyServeError) as caught:
        loads(b"[" + b"1" * 5000 + b"]")
    assert caught.value.message.endswith("Number too big to be stored in double. at 1")
