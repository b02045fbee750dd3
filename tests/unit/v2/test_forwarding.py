from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.forwarding import HeaderPattern, Headers, with_headers
from jupyter_pyserve.v2.infer import InferRequest

HEADERS = (("Host", "h"), ("X-Foo", "1"), ("my-x-name", "2"), ("Authorization", "secret"))


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (".*", ["Host", "X-Foo", "my-x-name", "Authorization"]),
        ("x-.*", ["X-Foo", "my-x-name"]),
        ("^x-", ["X-Foo"]),
        ("X-FOO", ["X-Foo"]),
        ("(?-i)X-", ["X-Foo"]),
        ("(?i)(?-i)x-", ["my-x-name"]),
        ("(?-i)(?i)^X-F", ["X-Foo"]),
        ("nothing", []),
    ],
)
def test_names_that_match_anywhere(expression: str, names: list[str]) -> None:
    assert HeaderPattern(expression).choose(HEADERS) == tuple(item for item in HEADERS if item[0] in names)


def test_hidden_names_are_never_chosen() -> None:
    chosen = HeaderPattern("(?-i).*", frozenset(("authorization",))).choose(HEADERS)
    assert [name for name, _ in chosen] == ["Host", "X-Foo", "my-x-name"]


def test_what_is_no_expression() -> None:
    with pytest.raises(ValueError, match="invalid regular expression"):
        HeaderPattern("(")


def request(**parameters: str | int) -> InferRequest:
    return InferRequest(id="", parameters=parameters, inputs=())


def test_headers_stand_behind_the_parameters() -> None:
    found = with_headers(request(a=1), (("X-Foo", "b"), ("y", "c")))
    assert list(found.parameters.items()) == [("a", 1), ("X-Foo", "b"), ("y", "c")]
    assert with_headers(request(y=1), (("y", "c"),)).parameters == {"y": "c"}


def test_without_headers_nothing_changes() -> None:
    given = request(a=1)
    assert with_headers(given, ()) is given


@pytest.mark.parametrize("name", ["sequence_id", "timeout", "headers", "binary_data_output", "triton_x"])
def test_names_with_a_meaning_are_refused(name: str) -> None:
    headers: Headers = (("x", "y"), (name, "z"))
    with pytest.raises(PyServeError) as caught:
        with_headers(request(), headers)
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message == f"Header '{name}' is reserved for Triton usage and cannot be forwarded."
