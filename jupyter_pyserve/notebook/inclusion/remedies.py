"""Why a value of the kernel can't go into a model, and what to do instead: one line for each kind of value.

Words only. Looks at types by name, so that no library is imported for its sake.
"""

from __future__ import annotations

import io
import types

from jupyter_pyserve.notebook import figures

_NOT_FOR_PROCESSES = ("lock", "RLock", "Condition", "Semaphore", "Event", "Thread")


def remedy(name: str, value: object) -> str:
    """'is an open file ('w.bin'): open it in initialize'."""
    kind = type(value)
    if kind.__module__ == "numpy" and hasattr(value, "nbytes") and hasattr(value, "shape"):
        return _array(name, value)
    if isinstance(value, io.IOBase):
        return f"is an open file ({getattr(value, 'name', '?')!r}): open it in initialize"
    if isinstance(value, types.ModuleType):
        return "is a module that can't be imported by its name: put what the model needs of it into a cell"
    if isinstance(value, types.FunctionType) and "<locals>" in value.__qualname__:
        return "is a function made inside another one: define it at the top of a cell"
    if isinstance(value, types.FunctionType | type):
        return "has no source that can be found: define it in a cell"
    if kind.__name__ in _NOT_FOR_PROCESSES:
        return f"is a {kind.__name__}, which belongs to this process: make one in initialize"
    where = "make or load it in initialize, or in the model's own cell"
    return f"is an object of {kind.__module__}.{kind.__qualname__}: {where}"


def too_long(name: str, length: int) -> str:
    return (
        f"would take {length:,} characters to write down: read it from a file in initialize, or, "
        f'as an array, pyserve.share("{name}", numpy.asarray({name}))'
    )


def _array(name: str, value: object) -> str:
    shape, dtype = getattr(value, "shape", ()), getattr(value, "dtype", "?")
    size = figures.nbytes(int(getattr(value, "nbytes", 0)))
    return (
        f"is an array of {size} ({dtype}, shape {tuple(shape)}): "
        f'pyserve.share("{name}", {name}) gives every process of the model the one copy; or load it in initialize'
    )
