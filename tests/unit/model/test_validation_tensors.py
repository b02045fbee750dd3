"""Rules for one tensor."""

from __future__ import annotations

import json

import pytest

from jupyter_pyserve.model.config import parse_pbtxt, validate_stage_b


def problems(tensor: str, *, role: str = "input", max_batch_size: int = 2) -> list[str]:
    text = f"max_batch_size: {max_batch_size} {role} {{ {tensor} }}"
    return validate_stage_b(parse_pbtxt(text, model_name="M", path="p"))


@pytest.mark.parametrize("role", ["input", "output"])
def test_an_empty_declaration(role: str) -> None:
    assert problems("", role=role) == [
        f"model {role} must specify 'name' for M",
        f"model {role} '' must specify 'data_type' for M",
        f"model {role} '' must specify 'dims' for M",
    ]


BAD_DIMS = "model input 'I' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for M"
BAD_SHAPE = "model input 'I' reshape dimensions must be integer >= 1, or -1 to indicate a variable-size dimension for M"
OTHER_SIZE = "model input 'I' has different size for dims and reshape for M"
OTHER_COUNT = "model input 'I' has different number of variable-size dimensions for dims and reshape for M"
SCALAR = "model input 'I' cannot have empty reshape for non-batching model as scalar tensors are not supported for M"


@pytest.mark.parametrize(
    ("dims", "reshape", "max_batch_size", "expected"),
    [
        ("1", None, 2, []),
        ("-1", None, 2, []),
        ("0", None, 2, [BAD_DIMS]),
        ("-2", None, 2, [BAD_DIMS]),
        ("0", "0", 2, [BAD_DIMS, BAD_SHAPE]),
        ("0", "1", 2, [BAD_DIMS]),
        ("4", "2, 2", 2, []),
        ("4", "5", 2, [OTHER_SIZE]),
        ("4", "-1", 2, [OTHER_SIZE]),
        ("1", "", 2, []),
        ("2", "", 2, [OTHER_SIZE]),
        ("1", "", 0, [SCALAR]),
        ("-1, 6", "-1, 2, 3", 2, []),
        ("-1, 6", "2, -1, 3", 2, [OTHER_SIZE]),
        ("-1, -1", "-1", 2, [OTHER_COUNT]),
        ("-1, 2, -1, 3", "-1, 3, -1, 2", 2, [OTHER_SIZE]),
    ],
)
def test_dims_and_reshape(dims: str, reshape: str | None, max_batch_size: int, expected: list[str]) -> None:
    tensor = f'name: "I" data_type: TYPE_FP32 dims: [ {dims} ]'
    if reshape is not None:
        tensor += f" reshape {{ shape: [ {reshape} ] }}"
    assert problems(tensor, max_batch_size=max_batch_size) == expected


@pytest.mark.parametrize("layout", ["FORMAT_NHWC", "FORMAT_NCHW"])
def test_image_layouts_need_three_dims(layout: str) -> None:
    tensor = f'name: "I" data_type: TYPE_FP32 format: {layout} dims: '
    assert problems(tensor + "[ 3, 4, 5 ]") == []
    assert problems(tensor + "[ 3, 4 ]") == ["model input NHWC/NCHW require 3 dims for M"]


def test_a_name_listed_twice_is_nobodys_problem() -> None:
    tensor = 'name: "I" data_type: TYPE_FP32 dims: 1'
    assert problems(f"{tensor} }} input {{ {tensor}") == []


@pytest.mark.parametrize(
    ("batch_input", "expected"),
    [
        ('data_type: TYPE_FP32 source_input: "I"', []),
        (
            "data_type: TYPE_FP32",
            ["batch input kind 'BATCH_ELEMENT_COUNT' expects 1 source input, got 0 for M"],
        ),
        (
            'data_type: TYPE_FP32 kind: BATCH_ITEM_SHAPE source_input: [ "I", "Z" ]',
            [
                "batch input kind 'BATCH_ITEM_SHAPE' expects 1 source input, got 2 for M",
                "unknown source input name 'Z' for M",
            ],
        ),
    ],
)
def test_batch_inputs(batch_input: str, expected: list[str]) -> None:
    assert problems(f'name: "I" data_type: TYPE_FP32 dims: 1 }} batch_input {{ {batch_input}') == expected


def test_batch_outputs() -> None:
    text = 'name: "I" data_type: TYPE_FP32 dims: 1 } batch_output { target_name: "Z" source_input: "Y"'
    assert problems(text) == ["unknown target output name 'Z' for M", "unknown source input name 'Y' for M"]


@pytest.mark.parametrize(
    ("targets", "sources", "expected"),
    [
        (["O", "O"], ["I"], "target output name 'O' can only be specified once for M"),
        (["O"], [], "batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 0 for M"),
        (["O"], ["I", "I"], "batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 2 for M"),
    ],
)
def test_a_batch_output_has_one_source_and_distinct_targets(
    targets: list[str], sources: list[str], expected: str
) -> None:
    text = (
        'name: "I" data_type: TYPE_FP32 dims: 1 } output { name: "O" data_type: TYPE_FP32 dims: 1 } '
        f"batch_output {{ target_name: {json.dumps(targets)} kind: BATCH_SCATTER_WITH_INPUT_SHAPE "
        f"source_input: {json.dumps(sources)}"
    )
    assert problems(text) == [expected]
