"""Models made of a few lines each, for scenarios that need many small ones."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import Files

_MODEL = """import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    count = 0

    def execute(self, requests):
        return [self.answer({{item.name(): item.as_numpy() for item in request.inputs()}}) for request in requests]

    def answer(self, given):
        self.count += 1
        {body}
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in made.items()])
"""

Step = tuple[str, Mapping[str, str], Mapping[str, str]]


def tensors(kind: str, names: str, *, dims: str = "-1", more: str = "") -> str:
    """Tensors of floats."""
    return " ".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: [ {dims} ] {more} }}' for name in names.split()
    )


IN, OUT = tensors("input", "I"), tensors("output", "O")


def model(body: str, *, given: str = IN, made: str = OUT, batch: int = 4, more: str = "") -> Files:
    """`body` makes `made`, arrays by their names, of `given`."""
    config = f'backend: "python" max_batch_size: {batch} {given} {made} {more}'
    return {"config.pbtxt": config, "1/model.py": _MODEL.format(body=body)}


def ensemble(*steps: Step, given: str = IN, made: str = OUT, batch: int = 4, more: str = "") -> Files:
    texts = [
        f'step {{ model_name: "{name}" model_version: -1 {_map("input_map", inputs)} {_map("output_map", outputs)} }}'
        for name, inputs, outputs in steps
    ]
    config = f'platform: "ensemble" max_batch_size: {batch} {given} {made} {more}'
    return {"config.pbtxt": f"{config} ensemble_scheduling {{ {' '.join(texts)} }}", "1/empty": ""}


def step(name: str, source: str, target: str) -> Step:
    """One of a model with one input and one output."""
    return name, {"I": source}, {"O": target}


def _map(kind: str, names: Mapping[str, str]) -> str:
    return " ".join(f'{kind} {{ key: "{own}" value: "{tensor}" }}' for own, tensor in names.items())
