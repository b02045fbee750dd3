"""This kernel's cells and names, as inclusion reads them: which have run, what they are called, what they have left.

The only place outside of the magics that asks the shell; without one, a script's own file is the one cell.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from jupyter_pyserve.notebook import sharing
from jupyter_pyserve.notebook.inclusion.definitions import CellTexts
from jupyter_pyserve.notebook.inclusion.prelude import include
from jupyter_pyserve.notebook.inclusion.resolver import Resolver
from jupyter_pyserve.notebook.source import ModelSource, lines_of

T = TypeVar("T")


def label_of_file(file: str) -> str:
    """'Cell In[3]' where IPython knows the file as a cell."""
    shell = _shell()
    named = shell.compile.format_code_name(file) if shell is not None else None
    return f"{named[0]} {named[1]}" if named else f"File {file}"


def cell_texts(label_of: Callable[[str], str] = label_of_file) -> CellTexts:
    """The cells that have run, in their order."""
    shell = _shell()
    if shell is not None:
        numbers: dict[str, int] = getattr(shell.compile, "_filename_map", {})
        return CellTexts(sorted(numbers, key=lambda file: numbers[file]), label_of, shell.transform_cell)
    file = getattr(sys.modules["__main__"], "__file__", None)
    return CellTexts([] if file is None else [file], label_of)


def make_resolver(texts: CellTexts | None = None) -> Resolver:
    """What looks up in this kernel what a model needs."""
    shell = _shell()
    hidden = frozenset(shell.user_ns_hidden) if shell is not None else frozenset[str]()
    namespace = vars(sys.modules["__main__"]) if shell is None else shell.user_ns
    return Resolver(namespace, texts or cell_texts(), hidden=hidden, shared_name=sharing.name_of)


def complete(source: ModelSource) -> tuple[ModelSource, list[str]]:
    """A cell's source with what it uses of other cells, and doubts; an error names all that can't come along."""
    return include(source, make_resolver())


def file_of_label(label: str) -> str | None:
    """The reverse of `label_of_file`: what a cell's code says it is in; None for what is no cell of this kernel.

    Its lines are then shown as they were written, magics and all.
    """
    shell, number = _shell(), label.removeprefix("Cell In[").removesuffix("]")
    if shell is None or not label.startswith("Cell In[") or not number.isdecimal():
        return None
    files = [file for file, count in getattr(shell.compile, "_filename_map", {}).items() if count == int(number)]
    history = getattr(shell.history_manager, "input_hist_raw", None) or []
    if not files:
        return None
    if int(number) < len(history):
        text = history[int(number)] + "\n"
        linecache.cache[files[0]] = (len(text), None, lines_of(text), files[0])
    return str(files[0])


def named(name: str, kind: type[T]) -> T | None:
    """What this kernel has of a kind whose `name` that is."""
    shell = _shell()
    found = list(shell.user_ns.values()) if shell is not None else []
    return next((value for value in found if isinstance(value, kind) and getattr(value, "name", "") == name), None)


def names_of(kind: type[Any]) -> list[str]:
    """The names of all of a kind that this kernel has."""
    shell = _shell()
    found = list(shell.user_ns.values()) if shell is not None else []
    return sorted({value.name for value in found if isinstance(value, kind)})


def written(name: str) -> tuple[ModelSource, str] | None:
    """The model.py and config.pbtxt of a cell or function of this kernel; None when there is none of that name."""
    shell = _shell()
    magics = shell.magics_manager.registry.get("PyServeMagics") if shell is not None else None
    found: tuple[ModelSource, str] | None = magics.written(name) if magics is not None else None
    return found


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
