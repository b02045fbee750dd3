from __future__ import annotations

import json

import pytest

from jupyter_pyserve.notebook.debugging.attached import Attached
from jupyter_pyserve.notebook.debugging.lab import Lab
from jupyter_pyserve.notebook.payloads import Debugged

OPENED: Debugged = {"host": "127.0.0.1", "port": 4711, "instance": "m_0", "model_file": "/models/m/1/model.py"}


def test_it_says_how_to_attach() -> None:
    shown = Attached("m", OPENED, Lab.POINTED, cell="/tmp/cell.py")
    assert "m_0 waits for a debugger at 127.0.0.1:4711" in shown.plain()
    assert "lines of its cell, or in /models/m/1/model.py" in shown.plain()
    assert "can run code as you" in shown.plain()
    configuration = json.loads(shown.vscode())
    assert configuration["name"] == "pyserve: m_0"
    assert configuration["connect"] == {"host": "127.0.0.1", "port": 4711}
    assert configuration["pathMappings"] == [{"localRoot": "/models/m/1", "remoteRoot": "/models/m/1"}]
    assert shown.vscode() in shown.plain()
    assert "<pre" in shown.html()
    assert "<div><b>m_0 waits for a debugger at 127.0.0.1:4711" in shown.html()


@pytest.mark.parametrize(
    ("lab", "text"), [(Lab.POINTED, "turn it off before %pyserve debug m --stop"), (Lab.IS_ON, "run this again")]
)
def test_it_says_what_jupyterlab_s_debugger_does(lab: Lab, text: str) -> None:
    assert text in Attached("m", OPENED, lab).plain()


def test_where_there_is_no_jupyterlab_it_is_not_spoken_of() -> None:
    shown = Attached("m", OPENED, Lab.ABSENT).plain()
    assert "JupyterLab" not in shown
    assert "lines of /models/m/1/model.py" in shown
