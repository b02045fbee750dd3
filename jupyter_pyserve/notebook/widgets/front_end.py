"""Whether there is a front end that draws, and which cell asks: the only place of the widgets that knows the shell."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

_hooked: weakref.WeakSet[Any] = weakref.WeakSet()
_callbacks: list[Callable[[], None]] = []


def is_there() -> bool:
    """Whether this is a kernel: a terminal has no place that can be drawn in."""
    if not hasattr(_shell(), "kernel"):
        return False
    try:
        import anywidget  # noqa: F401
    except ImportError:
        return False
    return True


class Cell(NamedTuple):
    """A cell and one time that it ran; empty where they have no names."""

    name: str = ""
    request: str = ""

    def is_replaced_by(self, other: Cell) -> bool:
        """Whether it is the same cell, which has run again."""
        return self.name != "" and self.name == other.name and self.request != other.request


def cell() -> Cell:
    """The cell that runs."""
    kernel = getattr(_shell(), "kernel", None)
    parent = (kernel.get_parent() if kernel is not None else None) or {}
    name, request = parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")
    return Cell(str(name or ""), str(request or ""))


def on_interrupt(callback: Callable[[], None]) -> None:
    """Call it whenever a cell has ended by an interrupt."""
    if callback not in _callbacks:
        _callbacks.append(callback)
    shell = _shell()
    if shell is not None and shell not in _hooked:
        _hooked.add(shell)
        shell.events.register("post_run_cell", _after_cell)


def call_later(delay_s: float, callback: Callable[[], None]) -> None:
    """In the kernel's own thread, once it is idle; nowhere where there is no kernel."""
    loop = getattr(getattr(_shell(), "kernel", None), "io_loop", None)
    if loop is not None:
        loop.add_callback(loop.call_later, delay_s, callback)


def _after_cell(result: Any) -> None:
    if isinstance(result.error_in_exec, KeyboardInterrupt):
        for callback in _callbacks:
            callback()


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None
