from __future__ import annotations

import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.unit.notebook.commands.conftest import Typed
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

INFER = "/v2/models/add_one/infer"


@pytest.fixture
def model(engine: FakeEngine) -> FakeEngine:
    engine.answer("GET", "/v2/models/add_one", json={"inputs": MODEL["inputs"], "outputs": MODEL["outputs"]})
    output = {"name": "OUTPUT0", "datatype": "FP32", "shape": [2], "data": [2.0, 3.0]}
    engine.answer("POST", INFER, json={"outputs": [output]})
    return engine


def test_expressions_are_the_users(model: FakeEngine, shell: InteractiveShell, typed: Typed) -> None:
    shell.user_ns["x"] = [1, 2, 3]
    assert "[2., 3.]" in typed("infer add_one INPUT0=[value + 1 for value in x] --id abc --parameter k=v --timeout 5")
    request = model.last(INFER)
    length = int(request.headers["Inference-Header-Content-Length"])
    header = json.loads(request.body[:length])
    assert (header["id"], header["parameters"]["k"], header["inputs"][0]["shape"]) == ("abc", "v", [3])
    assert request.body[length:] == bytes.fromhex("000000400000404000008040")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("infer add_one INPUT0=nope", "INPUT0=nope can't be evaluated: NameError: name 'nope' is not defined"),
        ("infer add_one INPUT0=1/0", "ZeroDivisionError"),
        ("infer add_one 3", "'3' names no input: write INPUT0=3"),
        ("infer add_one INPUT0=1 --json x.json", "can't be read"),
        ("infer add_one INPUT0=[1", "no closing ]"),
        ("infer", "required: NAME"),
        ("bench add_one --via pigeon", "invalid choice: 'pigeon'"),
    ],
)
def test_what_is_wrong_is_said(model: FakeEngine, typed: Typed, line: str, problem: str) -> None:
    assert problem in typed(line)


def test_a_file_of_json(model: FakeEngine, typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "a request.json"
    path.write_text('{"INPUT0": [1, 2]}')
    assert "add_one answered in" in typed(f"infer add_one --json '{path}'")
    assert "leave the others out" in typed(f"infer add_one INPUT0=1 --json '{path}'")


def test_responses_as_they_come(model: FakeEngine, typed: Typed) -> None:
    assert "add_one [1] answered in" in typed("infer add_one INPUT0=[1, 2] --stream")


def test_bench(model: FakeEngine, typed: Typed) -> None:
    shown = typed("bench add_one INPUT0=[1, 2] -c 1 --duration 0.05")
    assert "REQUESTS AT ONCE" in shown
