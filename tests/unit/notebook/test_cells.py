from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.cells import CellError, model_source, show_syntax_error
from jupyter_pyserve.notebook.failures import ModelSyntaxError


def test_the_running_cell_is_known_by_its_number_and_its_first_lines(shell: InteractiveShell) -> None:
    assert shell.history_manager is not None
    shell.history_manager.store_inputs(1, "\n\n%%pyserve model m\nx = 1\n")
    source = model_source(shell, "x = 1\n")
    assert (source.label, source.line_offset, source.where(1)) == ("Cell In[1]", 3, "Cell In[1], line 4")


def test_without_history_the_magic_is_the_line_above(shell: InteractiveShell) -> None:
    source = model_source(shell, "x = 1\n")
    assert (source.label, source.line_offset) == ("Cell In[1]", 1)


def test_an_error_without_its_cause_is_shown_as_it_is(shell: InteractiveShell) -> None:
    error = ModelSyntaxError(Code.INVALID_ARG, "wrong", ["wrong"])
    assert show_syntax_error(shell, model_source(shell, "x"), error) is error


def test_a_command_that_failed_is_one_line() -> None:
    error = CellError(Code.NOT_FOUND, "no such model")
    assert isinstance(error, PyServeError)
    assert error._render_traceback_() == ["PyServeError: no such model"]
