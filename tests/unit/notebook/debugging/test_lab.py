from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.debugging import lab
from jupyter_pyserve.notebook.debugging.lab import Lab, point_at, point_back


@pytest.fixture
def debugger(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """As much of ipykernel's as is touched."""
    found = SimpleNamespace(
        debugpy_client=SimpleNamespace(debugpy_port=-1), debugpy_initialized=False, is_started=False
    )
    cast(Any, shell).kernel = SimpleNamespace(debugger=found)
    folder = tmp_path / "cells"
    monkeypatch.setattr(lab, "_compiler", lambda: SimpleNamespace(get_tmp_directory=lambda: str(folder)))
    yield found
    found.is_started = False
    point_back()


def told(debugger: Any) -> tuple[Any, bool]:
    return debugger.debugpy_client.debugpy_port, debugger.debugpy_initialized


def upstream(debugger: Any) -> int:
    """Where the port that it was given leads to."""
    assert lab._relay is not None
    assert told(debugger) == (str(lab._relay.port), True)
    return lab._relay.upstream_port


def test_the_kernel_s_debugger_goes_to_the_model_and_back(debugger: Any, tmp_path: Path) -> None:
    assert point_at(4711) is Lab.POINTED
    assert upstream(debugger) == 4711
    assert (tmp_path / "cells").is_dir()
    assert point_at(4712) is Lab.POINTED
    assert upstream(debugger) == 4712
    point_back()
    assert told(debugger) == (-1, False)
    point_back()
    assert told(debugger) == (-1, False)


def test_a_debugger_that_is_on_is_left_alone(debugger: Any) -> None:
    debugger.is_started = True
    assert point_at(4711) is Lab.IS_ON
    assert told(debugger) == (-1, False)
    debugger.is_started = False
    point_at(4711)
    debugger.is_started = True
    assert point_at(4711) is Lab.POINTED
    assert point_at(4712) is Lab.IS_ON
    with pytest.raises(PyServeError, match="turn it off first"):
        point_back()
    assert upstream(debugger) == 4711


def test_a_terminal_has_none(shell: InteractiveShell) -> None:
    assert point_at(4711) is Lab.ABSENT
    point_back()
