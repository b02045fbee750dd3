"""The written text is readable, and reads back as what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.config import (
    build_config,
    parse_json_config,
    parse_pbtxt,
    validate_stage_a,
    validate_stage_b,
)


@dataclass(frozen=True)
class Tensor:
    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False


WHOLE = """\
name: "m"
backend: "python"
max_batch_size: 8

input [
  {
    name: "A"
    data_type: TYPE_FP32
    dims: [ -1, 3 ]
  },
  {
    name: "B"
    data_type: TYPE_STRING
    dims: [ 1 ]
    optional: true
  }
]

output [
  {
    name: "O"
    data_type: TYPE_INT64
    dims: [ 1 ]
  }
]

instance_group {
  count: 2
  kind: KIND_CPU
}

dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 100
}

model_transaction_policy {
  decoupled: true
}

parameters {
  key: "k"
  value: { string_value: "v" }
}
"""


def test_the_whole_form() -> None:
    text = build_config(
        name="m",
        inputs=[Tensor("A", "FP32", (-1, 3)), Tensor("B", "bytes", (1,), optional=True)],
        outputs=[Tensor("O", "TYPE_INT64", (1,))],
        max_batch_size=8,
        instances=2,
        kind="cpu",
        preferred_batch_size=[4, 8],
        max_queue_delay_us=100,
        decoupled=True,
        parameters={"k": "v"},
    )
    assert text == WHOLE


def test_nothing_that_was_not_asked_for_is_written() -> None:
    assert build_config(name="m") == 'name: "m"\nbackend: "python"\n'
    assert build_config(name="m", dynamic_batching=True).endswith("\n\ndynamic_batching { }\n")
    assert build_config(name="m", kind="KIND_GPU").endswith("\n\ninstance_group {\n  kind: KIND_GPU\n}\n")
    assert build_config(name="m", instances=3).endswith("\n\ninstance_group {\n  count: 3\n}\n")


def test_unknown_words_are_refused_with_the_known_ones() -> None:
    with pytest.raises(PyServeError, match="unknown data type 'FLOAT', expected one of BOOL, UINT8"):
        build_config(name="m", inputs=[Tensor("A", "FLOAT", (1,))])
    with pytest.raises(PyServeError, match="unknown instance kind 'tpu', expected one of AUTO, CPU, GPU, MODEL"):
        build_config(name="m", kind="tpu")


def test_an_output_cannot_be_optional() -> None:
    with pytest.raises(PyServeError, match="output 'O' cannot be optional, only inputs can"):
        build_config(name="m", outputs=[Tensor("O", "FP32", (1,), optional=True)])


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
TENSORS = st.builds(
    Tensor,
    NAMES,
    st.sampled_from(["BOOL", "UINT8", "INT64", "FP16", "FP32", "FP64", "BF16", "STRING"]),
    st.lists(st.just(-1) | st.integers(1, 2**62), min_size=1, max_size=4).map(tuple),
    st.booleans(),
)


@given(
    name=NAMES,
    inputs=st.lists(TENSORS, max_size=3),
    outputs=st.lists(TENSORS.filter(lambda t: not t.optional), max_size=3),
    max_batch_size=st.none() | st.integers(0, 2**31 - 1),
    instances=st.none() | st.integers(1, 100),
    dynamic=st.booleans(),
    decoupled=st.booleans(),
    parameters=st.dictionaries(NAMES, NAMES, max_size=3),
)
def test_it_reads_back_as_what_was_asked_for(
    *,
    name: str,
    inputs: list[Tensor],
    outputs: list[Tensor],
    max_batch_size: int | None,
    instances: int | None,
    dynamic: bool,
    decoupled: bool,
    parameters: dict[str, str],
) -> None:
    text = build_config(
        name=name,
        inputs=inputs,
        outputs=outputs,
        max_batch_size=max_batch_size,
        instances=instances,
        dynamic_batching=dynamic,
        decoupled=decoupled,
        parameters=parameters,
    )
    config = parse_pbtxt(text, model_name=name, path="p")
    assert validate_stage_a(config) == []
    assert validate_stage_b(config) == []
    assert config.max_batch_size == (max_batch_size or 0)
    assert [(t.name, t.data_type, t.dims, t.optional) for t in config.inputs] == [
        (t.name, f"TYPE_{t.data_type}", t.dims, t.optional) for t in inputs
    ]
    assert [(t.name, t.dims) for t in config.outputs] == [(t.name, t.dims) for t in outputs]
    assert (config.dynamic_batching is not None) == dynamic
    assert config.decoupled == decoupled
    assert config.parameters == parameters
    assert [group.count for group in config.instance_groups] == [instances or 1]
    assert parse_json_config(config.to_json(), model_name=name) == config
