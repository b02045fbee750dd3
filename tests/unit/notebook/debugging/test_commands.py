from __future__ import annotations

from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from jupyter_pyserve.notebook.debugging import api
from tests.unit.notebook.debugging.test_recorded import ROW
from tests.unit.notebook.fake_engine import FakeEngine


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the functions behind the commands."""
    calls: list[Any] = []
    for name in ("debug", "undebug", "record"):
        monkeypatch.setattr(api, name, lambda *given, _name=name, **options: calls.append((_name, given, options)))
    return calls


def run(shell: InteractiveShell, line: str) -> str:
    with capture_output() as captured:
        shell.run_line_magic("pyserve", line)
    return str(captured.stdout)


def test_debug(shell: InteractiveShell, done: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "debug", lambda name, **options: f"{name} {options}")
    assert run(shell, "debug m --instance m_1 --port 4711") == "m {'instance': 'm_1', 'port': 4711}\n"
    assert run(shell, "debug m --stop") == "no process of model 'm' was being debugged\n"
    monkeypatch.setattr(api, "undebug", lambda name, instance: ["m_0", "m_1"])
    assert run(shell, "debug m --stop") == "m_0, m_1: replaced by a process that nobody debugs\n"


def test_record(engine: FakeEngine, shell: InteractiveShell, done: list[Any]) -> None:
    assert "all requests of model 'm' are kept from now on" in run(shell, "record m --mode all --limit 5")
    assert "requests that it fails at" in run(shell, "record m --limit 5")
    assert done == [("record", ("m", "all"), {"limit": 5}), ("record", ("m", "failures"), {"limit": 5})]
    assert "which model?" in run(shell, "record --mode all")
    engine.answer("GET", "/api/recordings", json={"recordings": [ROW]})
    assert "m-1" in run(shell, "record")


def test_stack(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "stack", lambda name, instance: f"{name} {instance}")
    assert run(shell, "stack m") == "m None\n"
    assert run(shell, "stack m m_1") == "m m_1\n"


def test_recordings_complete_a_replay(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.answer("GET", "/api/recordings", json={"recordings": [ROW, {**ROW, "id": "m-2"}]})
    with provisionalcompleter():
        found = [item.text for item in shell.Completer.completions("%pyserve replay m", 17)]
    assert sorted(found) == ["m-1", "m-2"]


def test_replay(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "replay", lambda name, **options: f"{name} {options}")
    assert run(shell, "replay m-1 --serve") == "m-1 {'serve': True}\n"
