"""What a command may ask of the shell it was typed into: a place to show things, and the values of expressions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.display import View

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_pyserve.notebook.screen import Screen


class Add(Protocol):
    """Adds a command to the magic's grammar."""

    def __call__(self, name: str, text: str, *, model: bool | None = None) -> argparse.ArgumentParser: ...


class Scene:
    """One shell, while a command runs in it."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def screen(self) -> Screen:
        """A place of the cell's output whose content may be replaced."""
        from jupyter_pyserve.notebook.screen import Screen

        return Screen(self._shell)

    def display(self, shown: object) -> None:
        """Something that draws itself."""
        from IPython.display import display

        display(shown)  # type: ignore[no-untyped-call]

    @property
    def is_notebook(self) -> bool:
        """Whether outputs go to a front end, rather than to a terminal."""
        return hasattr(self._shell, "kernel")

    def evaluate(self, text: str, *, what: str) -> object:
        """The value of an expression among the user's names; an error says which expression it was."""
        try:
            value: object = self._shell.ev(text)  # type: ignore[no-untyped-call]
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise PyServeError(Code.INVALID_ARG, f"{what}={text} can't be evaluated: {problem}") from error
        return value


#: What there is to show at the end, if anything: a view, or a line of text.
Run = Callable[[argparse.Namespace, Scene], "View | str | None"]
