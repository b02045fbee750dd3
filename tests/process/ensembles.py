"""Ensembles for tests, of members that are a line of Python each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.process.engine import Engine

MODEL = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request.inputs()[0]) for request in requests]

    def answer(self, x):
        {body}
        return pb_utils.InferenceResponse([pb_utils.Tensor("Y", y)])
"""
TENSOR = "data_type: TYPE_FP32 dims: [ -1 ]"
MEMBER = f'backend: "python" input {{ name: "X" {TENSOR} }} output {{ name: "Y" {TENSOR} }}'

ADD = "y = x.as_numpy() + 1"
IN_PLACE = "y = x.as_numpy(); y += 100"
SAME = "y = x.as_numpy()"


def member(engine: Engine, name: str, body: str, *, extra: str = "") -> str:
    (event,) = [item for item in engine.deploy(name, MODEL.format(body=body), MEMBER + extra) if "error" in item] or [
        {}
    ]
    assert event == {}
    return name


def write_ensemble(
    repository: Path, name: str, *steps: tuple[str, Mapping[str, str], Mapping[str, str]], outputs: str = "OUT"
) -> str:
    def pairs(kind: str, given: Mapping[str, str]) -> str:
        return " ".join(f'{kind} {{ key: "{key}" value: "{value}" }}' for key, value in given.items())

    texts = [
        f'step {{ model_name: "{model}" model_version: -1 {pairs("input_map", inputs)} {pairs("output_map", made)} }}'
        for model, inputs, made in steps
    ]
    (repository / name / "1").mkdir(parents=True)
    shown = " ".join(f'output {{ name: "{output}" {TENSOR} }}' for output in outputs.split())
    (repository / name / "config.pbtxt").write_text(
        f'platform: "ensemble" input {{ name: "IN" {TENSOR} }} {shown} ensemble_scheduling {{ {" ".join(texts)} }}'
    )
    return name


def step(model: str, source: str, target: str) -> tuple[str, Mapping[str, str], Mapping[str, str]]:
    return model, {"X": source}, {"Y": target}


def chain(engine: Engine, name: str, *bodies: str) -> str:
    """A loaded ensemble of new members behind each other."""
    models = [member(engine, f"{name}_{index}", body) for index, body in enumerate(bodies)]
    places = ["IN", *(f"T{index}" for index in range(len(bodies) - 1)), "OUT"]
    write_ensemble(engine.repository, name, *map(step, models, places, places[1:]))
    engine.load(name)
    return name
