"""Sizes that keep a file readable in one sitting. Complexity is ruff's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGE, STUB, front_end_files, name, parse, python_files

FILE_LINES = 400
FUNCTION_LINES = 50


@pytest.mark.parametrize("path", [*python_files(PACKAGE, STUB), *front_end_files()], ids=name)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES


@pytest.mark.parametrize("path", python_files(PACKAGE, STUB), ids=name)
def test_functions_are_short(path: Path) -> None:
    functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    sizes = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {function: size for function, size in sizes.items() if size > FUNCTION_LINES} == {}
