"""Running a model's text in this kernel such that each line is where it was written: a cell's line, not model.py's.

A text may come from several cells, so it is compiled a statement at a time. Knows no engine and no requests.
"""

from __future__ import annotations
import __future__

import ast
import itertools
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from jupyter_pyserve.notebook.kernel import file_of_label
from jupyter_pyserve.notebook.source import ModelSource, lines_of

Places = Callable[[int], tuple[str, int]]

_numbers = itertools.count(1)


def places_of(source: ModelSource, otherwise: str) -> Places:
    """File and line of each line of a text; what no cell of this kernel holds is in the file `otherwise`."""

    def place(line: int) -> tuple[str, int]:
        label, shown = source.place(line)
        file = file_of_label(label)
        return (otherwise, line) if file is None else (file, shown)

    return place


def places_in(file: str, text: str, name: str) -> Places:
    """A text that no cell of this kernel holds: in its file, if that is here and as it was, else under `name`."""
    shown = file if _has(file, text) else name
    if shown == name:
        linecache.cache[name] = (len(text), None, lines_of(text), name)
    return lambda line: (shown, line)


def run_module(text: str, places: Places, file: str) -> ModuleType:
    """A module of that text, run."""
    __tracebackhide__ = True
    name = f"pyserve_replay_{next(_numbers)}"
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module  # dataclasses and the like look there
    tree = ast.parse(text)
    flags = _future_flags(tree)
    for node in tree.body:
        shown_in, line = places(node.lineno)
        ast.increment_lineno(node, line - node.lineno)
        code = compile(ast.Module([node], []), shown_in, "exec", flags=flags, dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - it is the user's own code, in the user's own kernel
    return module


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return flags


def _has(file: str, text: str) -> bool:
    try:
        return Path(file).read_text("utf-8", "replace") == text
    except OSError:
        return False
