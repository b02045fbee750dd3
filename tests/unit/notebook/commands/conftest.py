"""A shell whose magic is typed into, with the fake engine behind it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

Typed = Callable[[str], str]


@pytest.fixture
def typed(shell: InteractiveShell) -> Typed:
    """What `%pyserve LINE` shows in a terminal, errors included."""

    def show(line: str) -> str:
        with capture_output() as captured:
            shell.run_cell(f"%pyserve {line}", store_history=True)  # type: ignore[no-untyped-call]
        return str(captured.stdout) + str(captured.stderr)

    return show
