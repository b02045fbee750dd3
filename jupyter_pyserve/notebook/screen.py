"""Where a magic shows its views: one output of a cell that is replaced in a notebook, lines in a terminal.

Owns the display handle; knows nothing of what is shown.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from IPython.display import DisplayHandle, display

from jupyter_pyserve.notebook.display import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def say(text: str) -> None:
    """A line of a cell's output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Screen:
    """One place of a cell's output."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._replaces = hasattr(shell, "kernel")
        self._handle: DisplayHandle | None = None
        self._last = ""

    def show(self, view: View) -> None:
        """Put a view there, in place of the one before. A terminal has no such place: it gets what is new."""
        plain = view.plain()
        if plain == self._last:
            return
        self._last = plain
        if not self._replaces:
            say(plain)
        elif self._handle is None:
            self._handle = display(view, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(view)  # type: ignore[no-untyped-call]
