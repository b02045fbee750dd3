from __future__ import annotations

from jupyter_pyserve.notebook.commands.table import COMMANDS
from jupyter_pyserve.notebook.options import LINE_COMMANDS


def test_every_command_that_can_be_typed_does_something() -> None:
    assert {*COMMANDS, "deploy", "help"} == set(LINE_COMMANDS)
