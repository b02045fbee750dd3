from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import jupyter_pyserve as pyserve
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.debugging import api, lab, origins
from jupyter_pyserve.notebook.source import ModelSource
from jupyter_pyserve.v2.client import encode_infer_request
from tests.unit.notebook.debugging.test_recorded import ROW
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

CLASS = "class TritonPythonModel:\n    def execute(self, requests):\n        return 1 / 0\n"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
def model(engine: FakeEngine, tmp_path: Path) -> str:
    """A model with two instances that run, and one that does not."""
    rows = [{"name": f"m_{number}", "state": "READY"} for number in range(2)]
    engine.models.append({**MODEL, "name": "m", "instances": [{"name": "m_x", "state": "FAILED"}, *rows]})
    (tmp_path / "model.py").write_text(CLASS)
    for number in range(2):
        opened = {
            "host": "127.0.0.1",
            "port": 4711,
            "instance": f"m_{number}",
            "model_file": str(tmp_path / "model.py"),
        }
        engine.answer("POST", f"/api/models/m/instances/m_{number}/debug", json=opened)
        engine.answer("POST", f"/api/models/m/instances/m_{number}/undebug", json={})
    return "m"


def asked(engine: FakeEngine, instance: str = "m_0") -> list[Any]:
    path = f"/api/models/m/instances/{instance}/debug"
    return [request.json for request in engine.requests if request.path == path]


def test_the_first_instance_that_runs_is_debugged(engine: FakeEngine, model: str) -> None:
    shown = pyserve.debug(model)
    assert (shown.instance, shown.port) == ("m_0", 4711)
    assert asked(engine) == [{"port": 0, "sources": []}]
    pyserve.debug(model, instance="m_1", port=4712)
    assert asked(engine, "m_1") == [{"port": 4712, "sources": []}]


def test_lines_of_the_cell_are_the_model_s(engine: FakeEngine, model: str, shell: InteractiveShell) -> None:
    shell.run_cell("1 + 1\n" + CLASS, store_history=True)  # type: ignore[no-untyped-call]
    origins.remember(ModelSource(text=CLASS, label="Cell In[1]", line_offset=1))
    shown = pyserve.debug(model)
    assert shown.cell is not None
    assert shell.compile.format_code_name(shown.cell) == ("Cell", "In[1]")
    source = {"path": shown.cell, "line": 2, "count": 3, "model_line": 1}
    assert asked(engine)[1] == {"port": 0, "sources": [source]}


def test_what_is_debugged_is_ended(engine: FakeEngine, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pointed_back: list[None] = []
    monkeypatch.setattr(lab, "point_back", lambda: pointed_back.append(None))
    assert pyserve.undebug(model) == []
    assert len(pointed_back) == 1
    for row in engine.models[-1]["instances"]:
        row["debug"] = {"port": 4711}
    assert pyserve.undebug(model, instance="m_1") == ["m_1"]
    assert engine.last("/api/models/m/instances/m_1/undebug").json == {}


def test_a_model_that_does_not_run_cannot_be_debugged(engine: FakeEngine, model: str) -> None:
    engine.models[-1]["instances"] = []
    with pytest.raises(PyServeError, match="no instance of model 'm' runs"):
        pyserve.debug(model)


def test_stacks_of_one_instance_or_of_all(engine: FakeEngine, model: str) -> None:
    told = {"stack": "Thread 1", "request": "r", "since_s": 1.5}
    engine.answer("POST", "/api/models/m/instances/m_0/stack", json=told)
    found = pyserve.stack(model).found
    assert found == {"m_x": "Not Found", "m_0": told, "m_1": "Not Found"}
    assert list(pyserve.stack(model, "m_0").found) == ["m_0"]
    with pytest.raises(PyServeError, match=r"has no instance 'm_9' \(there are: m_x, m_0, m_1\)"):
        pyserve.stack(model, "m_9")


def test_stacks_of_a_model_that_has_no_process(engine: FakeEngine) -> None:
    engine.models.append({**MODEL, "name": "m", "instances": []})
    with pytest.raises(PyServeError, match=r"^model 'm' has no instance '\*' \(there are: none\)$"):
        pyserve.stack("m")


def test_what_is_recorded_is_chosen_and_listed(engine: FakeEngine) -> None:
    engine.answer("POST", "/api/models/m/record", json={})
    pyserve.record("m", "all", limit=3)
    assert engine.last("/api/models/m/record").json == {"mode": "all", "limit": 3}
    engine.answer("GET", "/api/recordings?model=m", json={"recordings": [ROW]})
    assert [row["id"] for row in pyserve.recordings("m")] == ["m-1"]
    with pytest.raises(PyServeError, match="'some' is not one of: failures, all, off"):
        pyserve.record("m", "some")


def recording(engine: FakeEngine) -> None:
    header, blobs = encode_infer_request({"X": np.zeros(3, np.float32)}, id="r")
    engine.answer("GET", "/api/recordings", json={"recordings": [{**ROW, "model": "add_one"}]})
    body = b"".join([header, *blobs])
    engine.answer("GET", "/api/recordings/m-1", body=body, headers={LENGTH: str(len(header))})
    args = {"model_config": json.dumps({"output": []}), "model_name": "add_one", "model_version": "1"}
    told = {"source": CLASS, "model_file": "/nowhere/model.py", "args": args, "shapes": {"X": [3]}}
    engine.answer("GET", "/api/recordings/m-1/model", json=told)


def test_a_recording_runs_here(engine: FakeEngine) -> None:
    recording(engine)
    with pytest.raises(ZeroDivisionError):
        pyserve.replay("m-1")
    with pytest.raises(PyServeError, match=r"there is no recording 'm-9' \(there are: m-1\)"):
        pyserve.replay("m-9")


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_recording_is_served_again(engine: FakeEngine, decoupled: bool) -> None:
    recording(engine)
    engine.answer("GET", "/v2/models/add_one/config", json={"model_transaction_policy": {"decoupled": decoupled}})
    output = {"name": "Y", "datatype": "FP32", "shape": [1], "data": [2]}
    engine.answer("POST", "/v2/models/add_one/infer", json={"model_name": "add_one", "outputs": [output]})
    answered = pyserve.replay("m-1", serve=True)
    assert answered["Y"].tolist() == [2]
    assert "by the served model 'add_one'" in answered.plain()
    assert b'"id":"r"' in engine.last("/v2/models/add_one/infer").body


def test_modes_are_the_engine_s() -> None:
    from jupyter_pyserve.engine.debugging.recorder import Mode

    assert [item.value for item in Mode] == list(api.MODES)
