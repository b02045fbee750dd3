"""The texts of a kernel's cells, and the statements in them that define or import a name.

Reads source through `linecache`, where the shell keeps every cell; runs nothing of the user's.
"""

from __future__ import annotations

import ast
import copy
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from jupyter_pyserve.notebook.source import lines_of

_DEFS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A statement at the top of a cell; `first` is its first line there, decorators included."""

    text: str
    tree: ast.Module
    label: str
    first: int
    #: Which cell and line, in the order in which cells have run.
    position: tuple[int, int]


class CellTexts:
    """Cells by the names of their files, in the order in which they have run."""

    def __init__(
        self, files: Sequence[str], label_of: Callable[[str], str], plain: Callable[[str], str] = lambda text: text
    ) -> None:
        """`plain` makes Python of a text with magics in it, line by line."""
        self._plain = plain
        self._files = list(files)
        self.label_of = label_of
        self._parsed: dict[str, tuple[list[str], ast.Module] | None] = {}

    def definition(self, name: str, file: str | None = None, line: int | None = None) -> Definition | None:
        """What defines a name: the function or class, or the assignment, that covers `line`; the newest without."""
        for candidate in [file] if file is not None else list(reversed(self._files)):
            for node in reversed(self._statements(candidate)):
                if _defines(node, name) and (line is None or _first(node) <= line <= (node.end_lineno or 0)):
                    return self._found(candidate, node)
        return None

    def import_of(self, name: str, value: object) -> str | None:
        """The import statement that gave `name` its value, from the newest cell that has one."""
        for file in reversed(self._files):
            for node, alias in self._imports(file):
                bound = alias.asname or alias.name
                module = sys.modules.get(node.module or "")
                if bound == name and module is not None and getattr(module, alias.name, None) is value:
                    renamed = "" if alias.asname in (None, alias.name) else f" as {alias.asname}"
                    return f"from {node.module} import {alias.name}{renamed}"
        return None

    def _imports(self, file: str) -> Iterator[tuple[ast.ImportFrom, ast.alias]]:
        parsed = self._parse(file)
        for node in ast.walk(parsed[1]) if parsed is not None else ():
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    yield node, alias

    def _statements(self, file: str) -> list[ast.stmt]:
        parsed = self._parse(file)
        return parsed[1].body if parsed is not None else []

    def _parse(self, file: str) -> tuple[list[str], ast.Module] | None:
        if file not in self._parsed:
            lines = linecache.getlines(file)
            tree = _parsed("".join(lines)) or _parsed(self._plain("".join(lines)))
            self._parsed[file] = (lines, tree) if lines and tree is not None else None
        return self._parsed[file]

    def _found(self, file: str, node: ast.stmt) -> Definition:
        parsed = self._parse(file)
        assert parsed is not None
        first = _first(node)
        text = "".join(parsed[0][first - 1 : node.end_lineno])
        number = self._files.index(file) if file in self._files else -1
        return Definition(
            text=text if text.endswith("\n") else f"{text}\n",
            tree=ast.Module(body=[node], type_ignores=[]),
            label=self.label_of(file),
            first=first,
            position=(number, first),
        )


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def without_decorators(definition: Definition, unwanted: Callable[[ast.expr], bool]) -> Definition:
    """The definition without some of its decorators; its other lines keep their numbers."""
    (node,) = definition.tree.body
    dropped = [item for item in node.decorator_list if unwanted(item)] if isinstance(node, _DEFS) else []
    if not isinstance(node, _DEFS) or not dropped:
        return definition
    lines = lines_of(definition.text)
    for item in dropped:
        for number in range(item.lineno, (item.end_lineno or item.lineno) + 1):
            lines[number - definition.first] = "\n"
    blank = next(index for index, line in enumerate(lines) if line.strip())
    bare = copy.copy(node)
    bare.decorator_list = [item for item in node.decorator_list if item not in dropped]
    return replace(
        definition,
        text="".join(lines[blank:]),
        tree=ast.Module(body=[bare], type_ignores=[]),
        first=definition.first + blank,
    )


def _first(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, _DEFS) else []
    return min([node.lineno, *(item.lineno for item in decorators)])


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, _DEFS):
        return node.name == name
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return [target.id for target in node.targets if isinstance(target, ast.Name)] == [name]
    return False
