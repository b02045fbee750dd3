"""Which names a piece of source needs from outside: found in its text, with the line of each.

Pure: trees in, names out. Runs nothing of the user's and knows no kernel.
"""

from __future__ import annotations

import ast
import builtins
import copy
import symtable
from collections.abc import Iterator
from dataclasses import dataclass

#: What every module has; IPython's own additions to `builtins` (`display`, `get_ipython`) a model would not find.
_GIVEN = frozenset(dir(builtins)) - {"display", "get_ipython", "__IPYTHON__", "exit", "quit"}
_MODULE_NAMES = frozenset({"__file__", "__name__", "__doc__", "__package__", "__spec__", "__loader__", "__path__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A name that is used and not bound: where first, and what is reached through it (`a.b.c` of a module)."""

    name: str
    line: int
    chains: frozenset[str] = frozenset()
    #: Whether it is read when the text is run, not only when one of its functions is called.
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a text needs and what it binds at its top."""

    needs: tuple[Need, ...]
    bound: frozenset[str]
    has_star: bool


def names_of(tree: ast.Module) -> Names:
    """The names of a text; those in annotations count, as Python reads them."""
    table = symtable.symtable(ast.unparse(tree), "<model>", "exec")
    bound = frozenset(_bound(table))
    at_once = frozenset(_used(symtable.symtable(ast.unparse(_without_bodies(tree)), "<model>", "exec"), bound))
    places = _places(tree)
    needs = [
        Need(name=name, line=places[name][0], chains=frozenset(places[name][1]), at_once=name in at_once)
        for name in sorted(set(_used(table, bound)), key=lambda name: (places[name][0], name))
    ]
    stars = any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree))
    return Names(needs=tuple(needs), bound=bound, has_star=stars)


def _bound(table: symtable.SymbolTable, *, top: bool = True) -> Iterator[str]:
    for symbol in table.get_symbols():
        binds = symbol.is_assigned() or symbol.is_imported()
        if binds and (top or symbol.is_declared_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _bound(child, top=False)


def _used(table: symtable.SymbolTable, bound: frozenset[str], *, top: bool = True) -> Iterator[str]:
    for symbol in table.get_symbols():
        name = symbol.get_name()
        is_outer = top or symbol.is_global()
        if symbol.is_referenced() and is_outer and name not in bound | _GIVEN | _MODULE_NAMES:
            yield name
    for child in table.get_children():
        yield from _used(child, bound, top=False)


def _places(tree: ast.Module) -> dict[str, tuple[int, set[str]]]:
    """The first line of each name that is read, and the dotted names that begin with it."""
    found: dict[str, tuple[int, set[str]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            line, chains = found.get(node.id, (node.lineno, set()))
            found[node.id] = min(line, node.lineno), chains
        elif isinstance(node, ast.Attribute):
            dotted = _dotted(node)
            if dotted is not None:
                root = dotted.partition(".")[0]
                line, chains = found.get(root, (node.lineno, set()))
                found[root] = min(line, node.lineno), chains | {dotted}
    return found


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        outer = _dotted(node.value)
        return None if outer is None else f"{outer}.{node.attr}"
    return None


class _BodyRemover(ast.NodeTransformer):
    """Leaves of a function what is evaluated where it is defined: decorators, defaults, annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [ast.Pass()]
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.body = [ast.Pass()]
        return node


class _AnnotationRemover(ast.NodeTransformer):
    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.copy_location(ast.Constant(value=None), node.annotation)
        self.generic_visit(node)
        return node


def without_annotations(tree: ast.Module) -> ast.Module:
    """The tree as it is read where annotations are not evaluated; lines stay."""
    changed = copy.deepcopy(tree)
    _AnnotationRemover().visit(changed)
    return changed


def _without_bodies(tree: ast.Module) -> ast.Module:
    bare = ast.parse(ast.unparse(tree))
    _BodyRemover().visit(bare)
    return ast.fix_missing_locations(bare)
