from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_pyserve.notebook.widgets import front_end


def test_a_terminal_draws_nothing(shell: InteractiveShell) -> None:
    assert not front_end.is_there()
    assert front_end.cell() == ("", "")
    front_end.call_later(0.0, lambda: pytest.fail("there is no loop"))


def test_a_kernel_draws_and_knows_its_cell(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        def get_parent(self) -> dict[str, object]:
            return {"metadata": {"cellId": "c-1"}, "header": {"msg_id": "m-1"}}

    monkeypatch.setattr(shell, "kernel", Kernel(), raising=False)
    assert front_end.is_there()
    assert front_end.cell() == ("c-1", "m-1")


def test_an_interrupted_cell_is_told_of(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(front_end, "_callbacks", [])
    front_end.on_interrupt(lambda: calls.append("told"))
    shell.run_cell("1 + 1")  # type: ignore[no-untyped-call]
    assert calls == []
    shell.run_cell("raise KeyboardInterrupt")  # type: ignore[no-untyped-call]
    assert calls == ["told"]
