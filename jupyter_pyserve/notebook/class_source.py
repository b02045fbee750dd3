"""A model.py made from a class that lives in this kernel: its own text, what that needs of other cells, and its name.

Reads source text; runs nothing of the user's.
"""

from __future__ import annotations

import linecache

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.inclusion.definitions import CellTexts
from jupyter_pyserve.notebook.inclusion.prelude import compose
from jupyter_pyserve.notebook.inclusion.resolver import Resolver, class_file
from jupyter_pyserve.notebook.source import MODEL_CLASS, ModelSource


def source_of_class(cls: type, texts: CellTexts, resolver: Resolver) -> ModelSource:
    """The text of a module that defines `cls` as TritonPythonModel."""
    name = cls.__name__
    alias = "" if name == MODEL_CLASS else f"{MODEL_CLASS} = {name}\n"
    file = class_file(cls)
    if cls.__module__ != "__main__":
        lines = linecache.getlines(file or "")
        if not lines:
            raise _no_source(name)
        text = "".join(lines)
        return ModelSource(text=f"{text}\n{alias}" if alias else text, label=texts.label_of(file or ""))
    definition = texts.definition(name, file)
    if definition is None:
        raise _no_source(name)
    resolver.require(name, definition)
    return compose(definition.label, resolver, alias)


def _no_source(name: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, f"the source of class '{name}' can't be found: deploy its text")
