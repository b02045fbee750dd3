"""What a model is told of its configuration after it had a hand in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.process.engine import Engine

_SOURCE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(4)
        config.set_dynamic_batching()
        config.as_dict().update(%s)
        return config

    def initialize(self, args):
        print("told", args["model_config"])
"""


def told(engine: Engine, extra: dict[str, Any]) -> dict[str, Any]:
    """The configuration that a model sees which adds `extra` to its own."""
    name = f"completed{len(list(engine.repository.iterdir()))}"
    assert engine.deploy(name, _SOURCE % repr(extra))[-1]["event"] == "ready"
    [record] = engine.said(name, "told ")
    config: dict[str, Any] = json.loads(record["text"].removeprefix("told "))
    return config


@pytest.mark.parametrize("extra", [{}, {"parameters": {"k": {"string_value": "v"}}}])
def test_it_is_told_what_became_of_it(engine: Engine, extra: dict[str, Any]) -> None:
    config = told(engine, extra)
    assert config["dynamic_batching"]["preferred_batch_size"] == [4]
    assert config["input"][0]["optional"] is False
    assert config["parameters"] == {}


def test_it_is_told_what_it_wished_where_that_is_no_configuration(engine: Engine) -> None:
    config = told(engine, {"colour": "red"})
    assert config["colour"] == "red"
    assert config["dynamic_batching"] == {}
    assert config["input"] == [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}]
