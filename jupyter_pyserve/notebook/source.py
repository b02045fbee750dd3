"""A model's source text: where it was written, what is in it, and the checks that need no running.

Values only. Works on Python's syntax tree; runs nothing of the user's, asks no engine, knows no IPython.
"""

from __future__ import annotations

import ast
import io
from dataclasses import dataclass

from jupyter_pyserve.errors import Code, PyServeError

MODEL_CLASS = "TritonPythonModel"


def lines_of(text: str) -> list[str]:
    """The lines of a program, as Python counts them: what ends a line of prose, like a form feed, ends none."""
    return io.StringIO(text).readlines()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Lines of a model.py that stand elsewhere too: line n of it, `first` to `last`, is line n + `offset` there."""

    first: int
    last: int
    label: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """The text of a model.py; line n of it is line `n + line_offset` of what `label` names, a cell or a file.

    Where it was put together from several cells, `pieces` say which line is whose, and other lines are model.py's own.
    """

    text: str
    label: str
    line_offset: int = 0
    pieces: tuple[Piece, ...] = ()

    def line(self, number: int) -> str | None:
        """A line by model.py's number."""
        lines = lines_of(self.text)
        return lines[number - 1].rstrip("\n") if 1 <= number <= len(lines) else None

    def place(self, number: int) -> tuple[str, int]:
        """What holds a line of model.py, and its number there."""
        if not self.pieces:
            return self.label, number + self.line_offset
        for piece in self.pieces:
            if piece.first <= number <= piece.last:
                return piece.label, number + piece.offset
        return "model.py", number

    def where(self, number: int) -> str:
        """'Cell In[3], line 12' for line 11 of a model.py whose cell begins with the magic's line."""
        label, shown = self.place(number)
        return f"{label}, line {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What the text alone tells; `None` where it can't, because the class is imported or computed."""

    has_class: bool | None
    has_execute: bool | None
    has_auto_complete: bool | None


def inspect_source(source: ModelSource) -> SourceFacts:
    """Parse it; a syntax error is Python's own exception, with model.py's line numbers."""
    tree = ast.parse(source.text)
    compile(tree, "model.py", "exec", dont_inherit=True)  # finds what the grammar alone does not: a stray `return`
    found: ast.ClassDef | None = None
    bound = star = False
    for node in _module_statements(tree):
        if isinstance(node, ast.ClassDef) and node.name == MODEL_CLASS:
            found = node
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.asname or alias.name for alias in node.names]
            star = star or "*" in names
            bound = bound or MODEL_CLASS in names
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            bound = bound or MODEL_CLASS in _assigned(node)
    if found is None:
        return SourceFacts(has_class=None if bound or star else False, has_execute=None, has_auto_complete=None)
    return SourceFacts(
        has_class=True,
        has_execute=_has_method(found, "execute"),
        has_auto_complete=_has_method(found, "auto_complete_config"),
    )


def check_source(source: ModelSource) -> tuple[SourceFacts, list[str]]:
    """The facts and warnings; a text that can't be a model is an error."""
    facts = inspect_source(source)
    if facts.has_class is False:
        raise PyServeError(
            Code.INVALID_ARG,
            f"{source.label} defines no class '{MODEL_CLASS}': a Python model is a class of exactly that name, "
            "with execute(self, requests)",
        )
    warnings = []
    if facts.has_execute is False:
        warnings.append(
            f"{MODEL_CLASS} has no execute(self, requests): the model will load, and each request to it will fail"
        )
    return facts, warnings


def _module_statements(tree: ast.Module) -> list[ast.stmt]:
    """Statements that run when the module is imported, those under `if`, `try` and `with` included."""
    found: list[ast.stmt] = []
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.stmt):
            found.append(node)
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _assigned(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _has_method(node: ast.ClassDef, name: str) -> bool | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name == name:
            return True
        if isinstance(item, ast.Assign | ast.AnnAssign) and name in _assigned(item):
            return True
    inherits = node.bases or node.keywords or node.decorator_list or not _is_plain(node)
    return None if inherits else False


def _is_plain(node: ast.ClassDef) -> bool:
    """A body of definitions and constants only: nothing in it could define a method in another way."""
    plain = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.Expr, ast.Pass, ast.ClassDef)
    return all(isinstance(item, plain) for item in node.body)
