from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from jupyter_pyserve.notebook.display import Progress
from jupyter_pyserve.notebook.screen import Screen, say


def test_a_notebook_replaces_and_repeats_nothing(shell: InteractiveShell) -> None:
    shell.kernel = object()  # type: ignore[attr-defined]
    screen = Screen(shell)
    with capture_output() as captured:
        for note in ("one", "one", "two"):
            screen.show(Progress("m", note=note))
    assert [(output.update, output.data["text/plain"]) for output in captured.outputs] == [
        (False, "m: one"),
        (True, "m: two"),
    ]


def test_a_terminal_gets_lines(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(shell)
    screen.show(Progress("m", note="one"))
    screen.show(Progress("m", note="one"))
    say("done")
    assert capsys.readouterr().out == "m: one\ndone\n"
