from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.repository import LoadRequest, parse_index, parse_load, parse_unload
from tests.unit.v2.echo import outcome

NOTHING = LoadRequest(config=None, files={})


@pytest.mark.parametrize(
    ("body", "ready"),
    [(b"", False), (b"{}", False), (b'{"ready":true}', True), (b'{"ready":false}', False), (b"[]", False)],
)
def test_index(body: bytes, ready: bool) -> None:
    assert parse_index(body) is ready


@pytest.mark.parametrize("value", [b"5", b"null", b'"true"'])
def test_index_wants_a_boolean(value: bytes) -> None:
    with pytest.raises(PyServeError) as caught:
        parse_index(b'{"ready":%b}' % value)
    assert (caught.value.code, caught.value.message) == (
        Code.INVALID_ARG,
        "Invalid value for 'ready': expected a boolean",
    )


@pytest.mark.parametrize("body", [b"", b"{}", b'{"parameters":{}}', b"[]", b"5"])
def test_a_load_without_overrides(body: bytes) -> None:
    assert parse_load(body) == NOTHING


def test_a_load_with_overrides() -> None:
    code = base64.b64encode(b"import os").decode()
    body = f'{{"parameters":{{"config":"{{}}","file:1/model.py":"{code}"}}}}'.encode()
    assert parse_load(body) == LoadRequest(config="{}", files={"1/model.py": b"import os"})


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"parameters":5}', Code.INTERNAL, "attempt to get members for non-object"),
        (b'{"parameters":{"config":5}}', Code.INTERNAL, "attempt to access JSON non-string as string"),
        (b'{"parameters":{"x":1}}', Code.INTERNAL, "attempt to access JSON non-string as string"),
        (b'{"parameters":{"x":"1"}}', Code.INTERNAL, "unexpected error on creating Triton parameter"),
        (b'{"parameters":{"file:a":"!!"}}', Code.INVALID_ARG, "parameter 'file:a' is not valid base64"),
        ('{"parameters":{"file:a":"é"}}'.encode(), Code.INVALID_ARG, "parameter 'file:a' is not valid base64"),
        (b"{", Code.INTERNAL, "failed to parse the request JSON buffer: Missing a name for object member. at 1"),
    ],
)
def test_loads_that_are_refused(body: bytes, code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as caught:
        parse_load(body)
    assert caught.value.code is code
    assert caught.value.message.startswith(text)


@pytest.mark.parametrize(
    ("body", "dependents"),
    [
        (b"", False),
        (b'{"parameters":{"unload_dependents":true}}', True),
        (b'{"parameters":{"unload_dependents":5}}', False),
        (b'{"parameters":5}', False),
        (b"{", False),
    ],
)
def test_unload_minds_nothing(body: bytes, dependents: bool) -> None:
    assert parse_unload(body) is dependents


@pytest.mark.parametrize("parse", [parse_index, parse_load, parse_unload])
def test_bodies_have_a_limit(parse: object) -> None:
    with pytest.raises(PyServeError, match="request JSON size of 3 bytes"):
        parse(b"{ }", max_json_bytes=2)  # type: ignore[operator]


@given(st.binary(max_size=40))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    loaded = outcome(lambda: parse_load(body))
    assert isinstance(loaded, LoadRequest) or loaded.code in (Code.INTERNAL, Code.INVALID_ARG)
    assert isinstance(outcome(lambda: parse_index(body)), (bool, PyServeError))
    assert isinstance(parse_unload(body), bool)
