from __future__ import annotations

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.inclusion.definitions import CellTexts
from jupyter_pyserve.notebook.inclusion.prelude import compose, in_order, include
from jupyter_pyserve.notebook.inclusion.resolver import Node, Resolver
from jupyter_pyserve.notebook.source import ModelSource


def resolver(**names: object) -> Resolver:
    return Resolver(names, CellTexts([], str))


def node(text: str, line: int, at_once: str = "", later: str = "") -> Node:
    return Node(text=text, definition=None, position=(0, line), at_once=(*at_once,), later=(*at_once, *later))


def test_order_is_that_of_the_cells_but_for_what_is_needed_at_once() -> None:
    nodes = {
        "a": node("a", 1, later="c"),
        "b": node("b", 2, at_once="d"),
        "c": node("c", 3),
        "d": node("d", 4, later="ec"),
    }
    nodes["e"] = node("e", 5, at_once="b")
    assert [item.text for item in in_order(nodes)] == ["a", "d", "c", "e", "b"]


def test_a_text_without_an_end_of_line_keeps_its_lines(tmp_path: object) -> None:
    source, _ = include(ModelSource(text="x = A", label="C"), resolver(A=1))
    assert source.text.splitlines()[-2:] == ["# The cell itself.", "x = A"]
    assert source.place(len(source.text.splitlines())) == ("C", 1)


def test_lines_are_those_of_python() -> None:
    """Not those of prose, which ends lines at form feeds and at what web pages have for that."""
    text = '"""A model.\u2028Of two lines."""\nfrom __future__ import annotations\n\x0c\nx = A\n'
    source, _ = include(ModelSource(text=text, label="C"), resolver(A=1))
    compile(source.text, "model.py", "exec")
    last = source.text.count("\n")
    assert (source.line(last), source.place(last)) == ("x = A", ("C", 4))


def test_problems_are_an_error_and_all_of_them() -> None:
    with pytest.raises(PyServeError, match=r"'A' is an object(.|\n)*'B' is an object"):
        include(ModelSource(text="x = A\ny = B", label="C"), resolver(A=object(), B=object()))
    broken = resolver()
    broken.problems.append("p")
    with pytest.raises(PyServeError, match="can't go along"):
        compose("C", broken, "")
