"""Backends that are a directory with a model.py: one code for many models, each with its own files."""

from __future__ import annotations

import os
import signal
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.process.client import outputs
from tests.process.engine import Engine, running_engine
from tests.process.interpreters import make_environment
from tests.process.waiting import wait_until

X = {"X": np.ones(1, np.float32)}

_SOURCE = """
import json
import os

import helper
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]})
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        print("told", __name__, config["backend"], config["runtime"], repr(config["default_model_filename"]))
        with open(os.path.join(pb_utils.get_model_dir(), "number")) as file:
            self.number = int(file.read())

    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        added = [pb_utils.Tensor("Y", array + helper.STEP * self.number) for array in arrays]
        return [pb_utils.InferenceResponse([tensor]) for tensor in added]
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    backend = tmp_path / "backends" / "adder"
    backend.mkdir(parents=True)
    (backend / "model.py").write_text(_SOURCE)
    (backend / "helper.py").write_text("STEP = 10\n")
    with running_engine(f"--backend-directory={tmp_path / 'backends'}") as engine:
        yield engine


def add(engine: Engine, name: str, config: str, **numbers: str) -> None:
    folder = engine.repository / name
    folder.mkdir()
    (folder / "config.pbtxt").write_text(config)
    for version, number in numbers.items():
        (folder / version.strip("v")).mkdir()
        (folder / version.strip("v") / "number").write_text(number)


def ask(engine: Engine, name: str, version: str = "") -> float:
    path = f"{name}/versions/{version}" if version else name
    return float(outputs(engine.infer(path, X))["Y"][0])


def test_models_of_a_backend(engine: Engine) -> None:
    add(engine, "first", 'backend: "adder" version_policy { all { } }', v1="1", v2="2")
    add(engine, "second", 'backend: "adder" instance_group { count: 2 }', v1="7")
    for name in ("first", "second"):
        engine.load(name)
    assert (ask(engine, "first"), ask(engine, "first", "1"), ask(engine, "second")) == (21, 11, 71)
    config = engine.http.get("/v2/models/first/config").json()
    assert (config["backend"], config["runtime"], config["default_model_filename"]) == ("adder", "model.py", "")
    assert engine.http.get("/v2/models/first").json()["platform"] == "adder"
    told = [record["text"] for record in engine.said("second", "told ", 2)]
    assert told == ["told model adder model.py ''"] * 2


def test_an_instance_that_is_started_again_is_of_the_same_backend(engine: Engine) -> None:
    add(engine, "first", 'backend: "adder"', v1="3")
    engine.load("first")
    [pid] = engine.pids("first")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: engine.pids("first") != [pid] and engine.ready("first"), "it is started again")
    assert ask(engine, "first") == 31


def test_a_backend_that_is_not_there(engine: Engine) -> None:
    add(engine, "lost", 'backend: "nowhere"', v1="1")
    text = "Invalid argument: unable to find backend library for backend 'nowhere', try specifying runtime on the model"
    assert text in engine.http.post("/v2/repository/models/lost/load").error


def test_an_environment_that_the_backend_brings(engine: Engine, tmp_path: Path) -> None:
    environment = make_environment(sys.executable, tmp_path / "env")
    with tarfile.open(tmp_path / "backends" / "adder" / "pb_exec_env_model.py.tar.gz", "w:gz") as tar:
        tar.add(environment, ".")
    own = f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{environment}" }} }}'
    add(engine, "first", 'backend: "adder"', v1="1")
    add(engine, "second", f'backend: "adder" {own}', v1="1")
    for name in ("first", "second"):
        engine.load(name)
        assert ask(engine, name) == 11
    brought, chosen = (engine.instances(name)[0]["interpreter"] for name in ("first", "second"))
    assert "/pyserve-engine-" in brought
    assert chosen == str(environment / "bin" / "python")
