from __future__ import annotations

import ast

import pytest

from jupyter_pyserve.notebook.inclusion.names import Names, names_of


def found(text: str) -> Names:
    return names_of(ast.parse(text))


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("x = y", ["y"]),
        ("x = 1\ny = x", []),
        ("import a.b\na.c", []),
        ("def f(a, *b, c=d, **e):\n    return a, b, c, e, g", ["d", "g"]),
        ("def f():\n    global made\n    made = 1\nx = made", []),
        ("def f():\n    x = 1\n    def g():\n        return x\n    return g", []),
        ("def f():\n    x = 1\ny = x", ["x"]),
        ("class A(B):\n    z = 1\n    def f(self):\n        return z", ["B", "z"]),
        ("[i for i in xs if (j := i)]\nj", ["xs"]),
        ("x = lambda a: a + b", ["b"]),
        ("try:\n    import fast\nexcept ImportError:\n    fast = slow", ["slow"]),
        ("try:\n    pass\nexcept E as error:\n    error", ["E"]),
        ("x: Kind = 1", ["Kind"]),
        ("f'{a:{b}}'", ["a", "b"]),
        ("print(len(__name__), __file__)", []),
        ("get_ipython()", ["get_ipython"]),
    ],
)
def test_what_is_used_and_not_bound(text: str, needed: list[str]) -> None:
    assert sorted(need.name for need in found(text).needs) == sorted(needed)


def test_where_and_what_through_it() -> None:
    need = found("x = 1\ny = a.b.c(a.d)\nz = a").needs[0]
    assert (need.line, need.chains) == (2, frozenset({"a.b.c", "a.b", "a.d"}))


def test_what_is_read_when_it_is_defined() -> None:
    text = "@d1\ndef f(x: a1 = d2) -> a2:\n    return later\nclass C(d3):\n    y = d4\n    def g(self):\n        late2"
    at_once = {need.name: need.at_once for need in found(text).needs}
    assert {name for name, now in at_once.items() if not now} == {"later", "late2"}


def test_a_star_import_is_noticed() -> None:
    assert found("from a import *").has_star
    assert not found("from a import b").has_star
