from __future__ import annotations

import ast
import collections
import sys
import types
from typing import NamedTuple

import pytest

from jupyter_pyserve.notebook.inclusion.definitions import CellTexts
from jupyter_pyserve.notebook.inclusion.names import names_of
from jupyter_pyserve.notebook.inclusion.resolver import SHARED_IMPORT, Resolver, class_file


def resolved(text: str, **names: object) -> Resolver:
    found = Resolver(names, CellTexts([], str), shared_name=lambda value: "w" if value is SHARED else None)
    found.resolve(names_of(ast.parse(text)), lambda line: f"line {line}")
    return found


SHARED = object()


def test_a_shared_array_is_asked_for_by_its_name() -> None:
    found = resolved("x = W", W=SHARED)
    assert found.imports == {SHARED_IMPORT}
    assert found.nodes["W"].text == 'W = shared("w")\n'


@pytest.mark.parametrize(
    ("text", "names", "statements"),
    [
        ("x.y", {"x": sys}, {"import sys as x"}),
        ("path", {"path": __import__("os").path}, {"import posixpath as path"}),
        ("abc", {"abc": collections.abc}, {"from collections import abc"}),
        ("collections.abc.Iterator", {"collections": collections}, {"import collections.abc"}),
        ("d", {"d": collections.OrderedDict}, {"from collections import OrderedDict as d"}),
        ("d", {"d": types.SimpleNamespace}, {"from types import SimpleNamespace as d"}),
    ],
)
def test_what_can_be_imported(text: str, names: dict[str, object], statements: set[str]) -> None:
    assert resolved(text, **names).imports == statements


def test_a_name_that_means_something_else_in_the_kernel_can_not_serve_a_constant() -> None:
    class SimpleNamespace(NamedTuple):
        a: int

    place = SimpleNamespace(1)
    assert resolved("x = place", place=place, SimpleNamespace=types.SimpleNamespace).problems


def test_where_the_methods_of_a_class_are_from() -> None:
    class Own:
        def method(self) -> None: ...

    assert class_file(Own) == __file__
    assert class_file(type("Empty", (), {})) is None
