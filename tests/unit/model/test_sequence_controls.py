from __future__ import annotations

import numpy as np
import pytest

from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.scheduling import Control, ControlInput, SequenceBatching
from jupyter_pyserve.model.sequence_controls import Controls, ControlTensor
from jupyter_pyserve.v2.arrays import from_bytes
from jupyter_pyserve.v2.datatypes import TABLE

START, END = 1, 2

ALL = """
  control_input [
    { name: "S" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ -1, 7 ] } ] },
    { name: "E" control [ { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } ] },
    { name: "R" control [ { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0.5, 1.5 ] } ] },
    { name: "C" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] },
    { name: "nothing" }
  ]
"""


def controls(text: str, *, batched: bool = True) -> Controls:
    config = parse_pbtxt(f'backend: "python" sequence_batching {{ {text} }}', model_name="m", path="config.pbtxt")
    assert config.sequence_batching is not None
    return Controls(config.sequence_batching, batched=batched)


def value(tensor: ControlTensor) -> object:
    found = from_bytes(memoryview(tensor.data), TABLE[tensor.datatype], tensor.shape)
    assert found.shape == tensor.shape
    return found.ravel()[0]


@pytest.mark.parametrize(
    ("flags", "ready", "expected"),
    [
        (0, True, [-1, False, 1.5, 5]),
        (START, True, [7, False, 1.5, 5]),
        (END, True, [-1, True, 1.5, 5]),
        (START | END, True, [7, True, 1.5, 5]),
        (0, False, [-1, False, 0.5, 5]),
    ],
)
def test_signals_say_where_a_request_is(flags: int, ready: bool, expected: list[object]) -> None:
    tensors = controls(ALL).tensors(5, flags, ready=ready)
    assert [value(item) for item in tensors] == expected
    assert [item.name for item in tensors] == ["S", "E", "R", "C"]
    assert [item.datatype for item in tensors] == ["INT32", "BOOL", "FP32", "UINT64"]


@pytest.mark.parametrize(("batched", "shape"), [(True, (1, 1)), (False, (1,))])
def test_controls_have_a_batch_dimension_where_requests_have_one(batched: bool, shape: tuple[int, ...]) -> None:
    assert {item.shape for item in controls(ALL, batched=batched).tensors(1, 0)} == {shape}


@pytest.mark.parametrize(
    ("data_type", "given", "expected"),
    [
        ("TYPE_UINT64", 2**64 - 1, 2**64 - 1),
        ("TYPE_INT64", 2**64 - 1, -1),
        ("TYPE_UINT32", 2**32 + 5, 5),
        ("TYPE_INT32", 7, 7),
        ("TYPE_STRING", "größe", "größe".encode()),
        ("TYPE_STRING", 0, b""),
    ],
)
def test_the_id_in_each_of_its_types(data_type: str, given: int | str, expected: object) -> None:
    config = SequenceBatching(
        control_inputs=(
            ControlInput(name="C", controls=(Control(kind="CONTROL_SEQUENCE_CORRID", data_type=data_type),)),
        )
    )
    (tensor,) = Controls(config, batched=False).tensors(given, 0)
    assert value(tensor) == expected


@pytest.mark.parametrize(
    ("data_type", "given", "text"),
    [
        ("TYPE_UINT64", 5, ""),
        ("TYPE_INT32", 0, ""),
        ("TYPE_STRING", "5", ""),
        (
            "TYPE_UINT64",
            "five",
            "sequence batching control 'C' data-type is 'BYTES', but model 'm' expects 'UINT64'",
        ),
        ("TYPE_STRING", 5, "sequence batching control 'C' data-type is 'UINT64', but model 'm' expects 'BYTES'"),
    ],
)
def test_ids_of_another_type_do_not_fit(data_type: str, given: int | str, text: str) -> None:
    control = (
        f'control_input [ {{ name: "C" control [ {{ kind: CONTROL_SEQUENCE_CORRID data_type: {data_type} }} ] }} ]'
    )
    assert controls(control).mismatch(given, "m") == text


def test_without_a_corrid_tensor_every_id_fits() -> None:
    assert controls("").mismatch("five", "m") == ""
    assert controls("").tensors("five", START) == []


def test_all_types_are_understood_by_numpy() -> None:
    assert [type(value(item)) for item in controls(ALL).tensors(1, 0)] == [
        np.int32,
        np.bool_,
        np.float32,
        np.uint64,
    ]
