"""Which cell is running: its number, where its body begins, and how IPython shows an error in it.

The only place that knows IPython's history, compiler cache and traceback renderer.
"""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.failures import ModelSyntaxError
from jupyter_pyserve.notebook.source import ModelSource


class CellError(PyServeError):
    """A command that failed, shown as its text alone."""

    def _render_traceback_(self) -> list[str]:
        return [f"PyServeError: {self.message}"]


def model_source(shell: InteractiveShell, body: str) -> ModelSource:
    """The body of the running cell magic, knowing which cell and how many lines stand above it."""
    number, raw = _running_cell(shell, body)
    return ModelSource(text=body, label=f"Cell In[{number}]", line_offset=_lines_above(raw))


def show_syntax_error(shell: InteractiveShell, source: ModelSource, error: ModelSyntaxError) -> ModelSyntaxError:
    """The same error in IPython's own rendering, in the colours that the user chose."""
    cause = error.syntax_error
    if cause is None:
        return error
    number, raw = _running_cell(shell, source.text)
    cause.filename = shell.compile.cache(raw, number, raw_code=raw)
    lines = list(shell.SyntaxTB.structured_traceback(type(cause), cause, None))
    return ModelSyntaxError(error.code, error.message, lines, model=error.model)


def _running_cell(shell: InteractiveShell, body: str) -> tuple[int, str]:
    """Its number and whole text, as history has them; the shell's own count is one ahead in newer IPythons."""
    history = getattr(shell.history_manager, "input_hist_raw", None) or [""]
    if history[-1].rstrip().endswith(body.rstrip()):
        return len(history) - 1, history[-1]
    return shell.execution_count, f"%%pyserve\n{body}"  # run without history: nothing better is known


def _lines_above(raw: str) -> int:
    """Usually the one line of the magic itself; blank lines may stand above it."""
    lines = enumerate(raw.splitlines(), 1)
    return next((number for number, line in lines if line.lstrip().startswith("%%")), 1)
