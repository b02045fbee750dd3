from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jupyter_pyserve as pyserve
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.calling import Answer, read_request
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

OUTPUT = {"name": "OUTPUT0", "datatype": "FP32", "shape": [2], "data": [2.0, 3.0]}


@pytest.fixture
def model(engine: FakeEngine) -> FakeEngine:
    metadata = {"name": "add_one", "inputs": MODEL["inputs"], "outputs": MODEL["outputs"]}
    engine.answer("GET", "/v2/models/add_one", json=metadata)
    engine.answer("POST", "/v2/models/add_one/infer", json={"outputs": [OUTPUT]})
    return engine


def sent(engine: FakeEngine) -> dict[str, Any]:
    request = engine.last("/v2/models/add_one/infer")
    header: dict[str, Any] = json.loads(request.body[: int(request.headers["Inference-Header-Content-Length"])])
    return header


def test_an_answer_is_a_mapping_and_a_view(model: FakeEngine) -> None:
    answer = pyserve.infer("add_one", {"INPUT0": [1, 2]}, outputs=["OUTPUT0"], parameters={"k": 1}, request_id="r")
    assert answer["OUTPUT0"].tolist() == [2.0, 3.0]
    assert list(answer) == ["OUTPUT0"]
    assert len(answer) == 1
    assert "add_one answered in " in repr(answer)
    assert "[2., 3.]" in repr(answer)
    assert "<table" in answer._repr_html_()
    header = sent(model)
    assert (header["id"], header["parameters"]["k"], header["outputs"][0]["name"]) == ("r", 1, "OUTPUT0")
    assert header["inputs"][0]["datatype"] == "FP32"


def test_large_outputs_are_shown_in_part() -> None:
    shown = repr(Answer("m", [{"Y": np.arange(1000)}], 1.0, 2.0))
    assert "1, 2, ..., 997, 998, 999]" in shown
    assert "[1000]" in shown


def test_hostile_values_are_text() -> None:
    answer = Answer("m", [{"Y": np.array([b"<script>"], dtype=object)}], 1.0, 1.0)
    assert "<script>" not in answer._repr_html_()


def test_several_responses() -> None:
    answer = Answer("m", [{"Y": np.array([1])}, {"Y": np.array([2])}], 1.0, 5.0)
    assert "gave 2 responses in 5 ms, the first after 1 ms" in repr(answer)
    assert answer["Y"].tolist() == [2]
    nothing = Answer("m", [], 0.0, 1.0)
    assert "gave 0 responses" in repr(nothing)
    assert "Y" not in nothing


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ('{"INPUT0": [1, 2]}', {"INPUT0": [1, 2]}),
        ('{"inputs": [{"name": "X", "datatype": "INT8", "shape": [1, 2], "data": [1, 2]}]}', {"X": [[1, 2]]}),
    ],
)
def test_requests_in_files(tmp_path: Path, text: str, inputs: dict[str, Any]) -> None:
    path = tmp_path / "request.json"
    path.write_text(text)
    found = read_request(path).inputs
    assert {name: np.asarray(value).tolist() for name, value in found.items()} == inputs


def test_a_file_has_options_of_its_request(tmp_path: Path, model: FakeEngine) -> None:
    path = tmp_path / "request.json"
    tensor = {"name": "INPUT0", "datatype": "FP32", "shape": [2], "data": [1, 2]}
    body = {"id": "7", "inputs": [tensor], "outputs": [{"name": "OUTPUT0"}], "parameters": {"k": 1}}
    path.write_text(json.dumps(body))
    pyserve.infer("add_one", read_request(path))
    header = sent(model)
    assert (header["id"], header["parameters"]["k"], header["outputs"][0]["name"]) == ("7", 1, "OUTPUT0")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "can't be read: No such file"),
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"inputs": [{"name": "X"}]}', "no 'datatype'"),
        ('{"inputs": [{"name": "X", "datatype": "FP8", "data": []}]}', "'FP8' is not a datatype"),
        ('{"inputs": [{"name": "X", "datatype": "FP32", "shape": [3], "data": [1]}]}', "cannot reshape"),
    ],
)
def test_files_that_hold_no_request(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "request.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PyServeError, match=problem):
        read_request(path)
