"""What the names that a model's cell lacks stand for: an import, a constant, a definition of another cell, or nothing
that another process could have.

Collects; the prelude is written elsewhere. Reads the kernel's namespace and changes nothing in it.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.inclusion.constants import TooLong, expression
from jupyter_pyserve.notebook.inclusion.definitions import CellTexts, Definition, without_decorators
from jupyter_pyserve.notebook.inclusion.names import Names, Need, names_of, without_annotations
from jupyter_pyserve.notebook.inclusion.remedies import remedy, too_long

#: Line and label of a use, in words.
Where = Callable[[int], str]

SHARED_IMPORT = "from pyserve_share import shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Something that stands above the cell, and what must stand above it in turn."""

    text: str
    definition: Definition | None
    position: tuple[int, int]
    at_once: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


class Resolver:
    """Finds everything that a text needs, and what that needs in turn."""

    def __init__(
        self,
        namespace: Mapping[str, object],
        texts: CellTexts,
        *,
        hidden: frozenset[str] = frozenset(),
        shared_name: Callable[[object], str | None] = lambda value: None,
    ) -> None:
        self._namespace = namespace
        self._texts = texts
        self._hidden = hidden
        self._shared_name = shared_name
        self._own: frozenset[str] = frozenset()
        self._seen: set[str] = set()
        #: Whether annotations are not evaluated, because model.py says so at its top.
        self.postponed = False
        self.imports: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self.problems: list[str] = []
        self.doubts: list[str] = []

    def resolve(self, names: Names, where: Where) -> None:
        """Find what a text needs; what it binds itself is its own."""
        self._own = names.bound
        for need in names.needs:
            if need.name in self._namespace or not names.has_star:
                self._need(need, where, is_vague=names.has_star)

    def require(self, name: str, definition: Definition) -> None:
        """A definition that is wanted for its own sake."""
        self._seen.add(name)
        self._define(name, definition)

    def _need(self, need: Need, where: Where, *, is_vague: bool = False) -> None:
        name = need.name
        if isinstance(self._namespace.get(name), types.ModuleType):
            self._module(need, where)
            return
        if name in self._seen:
            return
        self._seen.add(name)
        if name not in self._namespace or name in self._hidden:
            text = f"{where(need.line)}: '{name}' is defined neither in the cell nor in this kernel"
            self.doubts.append(f"{where(need.line)}: '{name}' is the notebook's own" if name in self._hidden else text)
            return
        value = self._namespace[name]
        try:
            why = "" if self._found(name, value) else remedy(name, value)
        except TooLong as error:
            why = too_long(name, int(error.args[0]))
        except PyServeError as error:
            why = error.message
        if why and not is_vague:
            self.problems.append(f"{where(need.line)}: '{name}' {why}")

    def _module(self, need: Need, where: Where) -> None:
        module = self._namespace[need.name]
        path = str(getattr(module, "__name__", ""))
        if sys.modules.get(path) is not module or path == "__main__":
            self.problems.append(f"{where(need.line)}: '{need.name}' {remedy(need.name, module)}")
        elif path == need.name:
            deeper = {found for chain in need.chains if (found := _longest_module(chain))} | {path}
            wanted = (item for item in deeper if not any(other.startswith(f"{item}.") for other in deeper))
            self.imports.update(f"import {item}" for item in wanted)
        else:
            parent, _, last = path.rpartition(".")
            short = f"from {parent} import {last}" if parent and last == need.name else ""
            self.imports.add(short or f"import {path} as {need.name}")

    def _found(self, name: str, value: object) -> bool:
        """Whether it can be had; if so it is noted down."""
        shared = self._shared_name(value)
        if shared is not None:
            self.imports.add(SHARED_IMPORT)
            self._constant(name, f'shared("{shared}")')
            return True
        statement = self._texts.import_of(name, value)
        if statement is None and not self._is_ours(value):
            statement = _import_statement(name, value)
        if statement is not None:
            self.imports.add(statement)
            return True
        return self._is_written(name, value) or self._is_defined(name, value)

    def _is_written(self, name: str, value: object) -> bool:
        classes: list[str] = []
        text = expression(value, lambda kind: self._class_name(kind, classes))
        if text is None:
            return False
        self._constant(name, text, at_once=tuple(classes))
        return True

    def _class_name(self, kind: type | types.ModuleType, used: list[str]) -> str | None:
        """The name of a class of which a constant is made, or of a module that makes it; it comes along."""
        name = kind.__name__
        if name not in self._seen:
            if self._namespace.get(name, kind) is not kind:
                return None  # that name means something else here
            if isinstance(kind, types.ModuleType):
                self.imports.add(f"import {name}")
                return name
            self._seen.add(name)
            if not self._found(name, kind):
                return None
        used.append(name)
        return name

    def _is_ours(self, value: object) -> bool:
        return getattr(value, "__module__", None) == "__main__"

    def _is_defined(self, name: str, value: object) -> bool:
        own = getattr(value, "__name__", None)
        if not self._is_ours(value) or not isinstance(own, str) or "<locals>" in getattr(value, "__qualname__", ""):
            return False
        wanted = name if own == "<lambda>" else own
        definition = self._texts.definition(wanted, *_code_place(value))
        if definition is None:
            return False
        if wanted != name:
            if self._namespace.get(wanted, value) is not value:
                return False  # it was defined under a name that means something else by now
            self._seen.add(wanted)
            self._constant(name, wanted, at_once=(wanted,))
        self._define(wanted, definition)
        return True

    def _define(self, name: str, definition: Definition) -> None:
        definition = without_decorators(definition, self._is_our_decorator)
        names = names_of(without_annotations(definition.tree) if self.postponed else definition.tree)
        self.nodes[name] = Node(
            text=definition.text,
            definition=definition,
            position=definition.position,
            at_once=tuple(need.name for need in names.needs if need.at_once),
            later=tuple(need.name for need in names.needs),
        )
        for need in names.needs:
            if need.at_once or need.name not in self._own:
                self._need(need, lambda line: f"{definition.label}, line {line} (in {name})")

    def _is_our_decorator(self, node: ast.expr) -> bool:
        """Whether it is `pyserve.model`, by whatever name, which a model.py has no use for."""
        words = ast.unparse(node.func if isinstance(node, ast.Call) else node).split(".")
        value = self._namespace.get(words[0])
        for word in words[1:]:
            value = getattr(value, word, None)
        is_ours = getattr(value, "__pyserve_decorator__", False) is True
        self.postponed = self.postponed or is_ours
        return is_ours

    def _constant(self, name: str, text: str, at_once: tuple[str, ...] = ()) -> None:
        place = (-1 if at_once else -2, len(self.nodes))
        self.nodes[name] = Node(text=f"{name} = {text}\n", definition=None, position=place, at_once=at_once)


def _longest_module(chain: str) -> str:
    """The longest beginning of a dotted name that is a module."""
    parts = chain.split(".")
    for count in range(len(parts), 0, -1):
        if ".".join(parts[:count]) in sys.modules:
            return ".".join(parts[:count])
    return ""


def _import_statement(name: str, value: object) -> str | None:
    """How an object is imported that says itself where it is from."""
    module = getattr(value, "__module__", None)
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(own, str) or not own.isidentifier():
        return None
    if getattr(sys.modules.get(module), own, None) is not value:
        return None
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def _code_place(value: object) -> tuple[str | None, int | None]:
    """File and line of a function, or the file of a class by the methods that its own text defines."""
    function = inspect.unwrap(value) if callable(value) else value
    if isinstance(function, types.FunctionType):
        return function.__code__.co_filename, function.__code__.co_firstlineno
    file = class_file(value) if isinstance(value, type) else None
    return file, None


def class_file(cls: type) -> str | None:
    """The file of a class, as far as its methods tell; those that a decorator has made tell nothing."""
    for member in vars(cls).values():
        function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else member
        function = getattr(function, "__func__", function)
        if isinstance(function, types.FunctionType) and function.__module__ == cls.__module__:
            file = function.__code__.co_filename
            if file != "<string>":
                return file
    return None
