from __future__ import annotations

from typing import Any

import pytest

from jupyter_pyserve import notebook as pyserve
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.failures import DeployError, ModelSyntaxError
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

TEXT = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"
TENSORS: dict[str, Any] = {"inputs": ["INPUT0:FP32:-1"], "outputs": ["OUTPUT0:FP32:-1"]}
READY = {"event": "ready", "unchanged": False, "elapsed_ms": 12.3, "model": MODEL}


def test_deploying_a_text(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", "work/a.ipynb")
    monkeypatch.setattr("sys.argv", ["ipykernel", "-f", "/run/kernel-12-ab.json"])
    engine.deployment("add_one", {"event": "progress", "stage": "write"}, READY)
    served = pyserve.deploy(TEXT, "add_one", **TENSORS, max_batch_size=4)
    assert (served.name, served.state, served.note) == ("add_one", "READY", "in 12.3 ms")
    assert (served.versions[0]["version"], served.instances[0]["pid"]) == ("1", 4711)
    sent = engine.last("/api/models/add_one/deploy").json
    assert sent["source"] == TEXT
    assert "max_batch_size: 4" in sent["config"]
    assert sent["origin"] == {"kernel_id": "12-ab", "notebook": "work/a.ipynb", "cell": None}


def test_an_unchanged_model_says_so(engine: FakeEngine) -> None:
    engine.deployment("add_one", {**READY, "unchanged": True})
    assert pyserve.deploy(TEXT, "add_one", **TENSORS).note == "unchanged"


def test_a_failure_is_an_exception_that_names_the_line(engine: FakeEngine) -> None:
    frames = [{"file": "/r/1/model.py", "line": 2, "function": "initialize", "text": None}]
    failed = {"event": "error", "code": "INTERNAL", "message": "no", "frames": frames, "model_file": "/r/1/model.py"}
    engine.deployment("m", failed)
    with pytest.raises(DeployError, match="no") as caught:
        pyserve.deploy(TEXT, "m", **TENSORS)
    assert "File model.py, line 2, in initialize" in caught.value.lines


def test_what_is_wrong_is_said_before_anything_is_sent(engine: FakeEngine) -> None:
    with pytest.raises(ModelSyntaxError, match="line 1"):
        pyserve.deploy("def\n", "m")
    with pytest.raises(PyServeError, match="null bytes"):
        pyserve.deploy("x = 1\n\0", "m")
    with pytest.raises(PyServeError, match="nothing says which inputs"):
        pyserve.deploy(TEXT, "m")
    with pytest.raises(PyServeError, match="Model name cannot be empty"):
        pyserve.deploy(TEXT)
    with pytest.raises(PyServeError, match="path traversal"):
        pyserve.deploy(TEXT, "../m", **TENSORS)
    with pytest.raises(PyServeError, match="did you mean FP32"):
        pyserve.deploy(TEXT, "m", inputs=["A:float32:1"])
    assert engine.requests == []


def test_a_model_without_execute_is_a_warning(engine: FakeEngine) -> None:
    engine.deployment("add_one", READY)
    with pytest.warns(UserWarning, match="has no execute"):
        pyserve.deploy("class TritonPythonModel:\n    pass\n", "add_one", config="max_batch_size: 0")


def test_status_and_lists(engine: FakeEngine) -> None:
    assert "pid 99" in repr(pyserve.status())
    assert "4711" in repr(pyserve.status("add_one"))
    assert "add_one" in repr(pyserve.models())
    with pytest.raises(PyServeError, match="Request for unknown model: 'x' is not found") as caught:
        pyserve.status("x")
    assert caught.value.code is Code.NOT_FOUND
