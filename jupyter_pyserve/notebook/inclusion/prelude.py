"""The model.py that a cell becomes: what it needs of other cells above it, and a note of whose lines are whose.

The same cell and values give the same text. Knows no engine and no shell.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.inclusion.names import names_of
from jupyter_pyserve.notebook.inclusion.resolver import Node, Resolver
from jupyter_pyserve.notebook.source import ModelSource, Piece, lines_of

_BEGIN = "# What the cell below uses of other cells of its notebook.\n"
_POSTPONED = "from __future__ import annotations\n"
_END = "# The cell itself.\n"


def include(source: ModelSource, resolver: Resolver) -> tuple[ModelSource, list[str]]:
    """The source with everything that it needs, and doubts; an error names all that can't come along."""
    tree = ast.parse(source.text)
    resolver.resolve(names_of(tree), source.where)
    _refuse(resolver, source.label)
    if not resolver.imports and not resolver.nodes:
        return source, resolver.doubts
    lines = lines_of(source.text)
    head = _head_length(tree)
    writer = Writer()
    writer.add_own(source, lines[:head], 1)
    writer.add(_POSTPONED if resolver.postponed and not _is_postponed(tree) else "")
    writer.add(_BEGIN)
    writer.add_prelude(resolver)
    writer.add(_END)
    writer.add_own(source, lines[head:], head + 1)
    return writer.source(source.label), resolver.doubts


def compose(label: str, resolver: Resolver, ending: str, beginning: str = "") -> ModelSource:
    """A model.py that is made of definitions of cells alone, and of a beginning and an ending."""
    _refuse(resolver, label)
    writer = Writer()
    writer.add(beginning)
    writer.add_prelude(resolver)
    writer.add(ending)
    return writer.source(label)


class Writer:
    """Puts a model.py together and remembers where its lines come from."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._pieces: list[Piece] = []

    def add(self, text: str) -> None:
        """Lines that are nobody's."""
        self._lines += lines_of(text)

    def add_own(self, source: ModelSource, lines: Sequence[str], first: int) -> None:
        """Lines of the cell itself, from its line `first` on."""
        if lines:
            self._place(lines, source.label, first + source.line_offset)

    def add_prelude(self, resolver: Resolver) -> None:
        """Imports, constants and definitions, each after what it needs."""
        self.add("".join(f"{line}\n" for line in sorted(resolver.imports, key=_import_order)))
        was_constant = False
        for node in in_order(resolver.nodes):
            is_constant = node.definition is None
            if not (is_constant and was_constant):
                self.add("\n" if is_constant else "\n\n")
            if node.definition is not None:
                self._place(lines_of(node.text), node.definition.label, node.definition.first)
            else:
                self.add(node.text)
            was_constant = is_constant
        self.add("\n\n")

    def source(self, label: str) -> ModelSource:
        return ModelSource(text="".join(self._lines), label=label, pieces=tuple(self._pieces))

    def _place(self, lines: Sequence[str], label: str, first: int) -> None:
        begin = len(self._lines) + 1
        self._lines += lines
        if not self._lines[-1].endswith("\n"):
            self._lines[-1] += "\n"
        self._pieces.append(Piece(first=begin, last=len(self._lines), label=label, offset=first - begin))


def in_order(nodes: Mapping[str, Node]) -> list[Node]:
    """As they were written, except that what a definition uses when it is made stands before it, complete."""
    placed: set[str] = set()
    completed: set[str] = set()
    ordered: list[Node] = []

    def rank(name: str) -> tuple[int, int]:
        return nodes[name].position

    def known(names: Iterable[str]) -> list[str]:
        return sorted((name for name in names if name in nodes), key=rank)

    def place(name: str) -> None:
        if name not in placed:
            placed.add(name)
            for needed in known(nodes[name].at_once):
                complete(needed)
            ordered.append(nodes[name])

    def complete(name: str) -> None:
        if name not in completed:
            completed.add(name)
            place(name)
            for later in known(nodes[name].later):
                complete(later)

    for name in known(nodes):
        place(name)
    return ordered


def _refuse(resolver: Resolver, label: str) -> None:
    if resolver.problems:
        listed = "\n".join(f"  {problem}" for problem in resolver.problems)
        raise PyServeError(
            Code.INVALID_ARG,
            f"{label} uses what can't go along into the model's own processes. Nothing was deployed.\n{listed}\n"
            "With --no-include (include=False) the cell is taken as it stands.",
        )


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from "), line


def _is_postponed(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )


def _head_length(tree: ast.Module) -> int:
    """How many lines must stay at the top: a docstring, and imports from the future."""
    length = 0
    for index, node in enumerate(tree.body):
        is_docstring = index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not is_docstring and not is_future:
            break
        length = node.end_lineno or 0
    return length
