"""A model.py made from a class that lives in this kernel: its own cell's text, and what that text leans on.

Lines keep their numbers, so that an error can name the cell's line. Reads source text; runs nothing of the user's.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import sys
import types
from collections.abc import Callable, Iterator, Mapping

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.source import MODEL_CLASS, ModelSource

_DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))


def source_of_class(cls: type, label_of: Callable[[str], str]) -> ModelSource:
    """The text of a module that defines `cls` as TritonPythonModel; `label_of` names a source file for the reader."""
    file = _file_of(cls)
    lines = linecache.getlines(file)
    if not lines:
        raise PyServeError(Code.INVALID_ARG, f"the source of class '{cls.__name__}' can't be found: deploy its text")
    alias = "" if cls.__name__ == MODEL_CLASS else f"\n{MODEL_CLASS} = {cls.__name__}\n"
    if cls.__module__ != "__main__":
        return ModelSource(text="".join(lines) + alias, label=label_of(file))
    kept = _definitions("".join(lines))
    prefix = _imports_of_missing(ast.parse(kept), vars(sys.modules["__main__"]), cls.__name__)
    return ModelSource(text="".join(prefix) + kept + alias, label=label_of(file), line_offset=-len(prefix))


def _file_of(cls: type) -> str:
    for member in vars(cls).values():
        function = inspect.unwrap(getattr(member, "__func__", member))
        if isinstance(function, types.FunctionType) and function.__module__ == cls.__module__:
            return function.__code__.co_filename
    raise PyServeError(Code.INVALID_ARG, f"class '{cls.__name__}' has no method of its own: it can't be a model")


def _definitions(cell: str) -> str:
    """The cell with everything blanked that only ran there: calls, loops, magics."""
    tree = ast.parse(cell)
    lines = cell.splitlines(keepends=True)
    wanted: set[int] = set()
    for node in tree.body:
        if isinstance(node, _DEFINITIONS) or (isinstance(node, ast.Assign) and _is_literal(node.value)):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            wanted.update(range(first, (node.end_lineno or first) + 1))
    return "".join(line if number in wanted else "\n" for number, line in enumerate(lines, 1))


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def _imports_of_missing(tree: ast.Module, namespace: Mapping[str, object], cls: str) -> list[str]:
    """One line for each name that the text uses and another cell gave: an import, or a constant."""
    bound = set(_bound_names(tree)) | set(dir(builtins)) | {"__file__", "__name__"}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return [_definition_of(name, namespace[name], cls) for name in sorted(used - bound) if name in namespace]


def _bound_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _definition_of(name: str, value: object, cls: str) -> str:
    if isinstance(value, types.ModuleType):
        return f"import {value.__name__} as {name}\n"
    if isinstance(value, _CONSTANTS):
        return f"{name} = {value!r}\n"
    module, qualname = getattr(value, "__module__", "__main__"), getattr(value, "__qualname__", "")
    importable = isinstance(value, type | types.FunctionType | types.BuiltinFunctionType) and qualname.isidentifier()
    if importable and module != "__main__":
        return f"from {module} import {qualname} as {name}\n"
    raise PyServeError(
        Code.INVALID_ARG,
        f"class '{cls}' uses '{name}' ({type(value).__name__}), which another cell defines: the model runs in "
        f"a process of its own, so put '{name}' into the same cell",
    )
