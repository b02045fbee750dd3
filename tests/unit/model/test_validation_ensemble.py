"""Rules on the steps of an ensemble."""

from __future__ import annotations

from jupyter_pyserve.model.config import parse_pbtxt, validate_stage_a

IO = 'input { name: "I" data_type: TYPE_FP32 dims: 1 } output { name: "O" data_type: TYPE_FP32 dims: 1 }'


def problems(steps: str) -> list[str]:
    text = f'platform: "ensemble" {IO} ensemble_scheduling {{ {steps} }}'
    return validate_stage_a(parse_pbtxt(text, model_name="E", path="p"))


def step(*, source: str, target: str) -> str:
    return (
        f'step {{ model_name: "m" model_version: -1 input_map {{ key: "x" value: "{source}" }} '
        f'output_map {{ key: "y" value: "{target}" }} }}'
    )


def test_a_chain_is_fine() -> None:
    assert problems(step(source="I", target="mid") + step(source="mid", target="O")) == []


def test_a_step_must_say_everything() -> None:
    assert problems(step(source="I", target="O") + "step { }") == [
        "must specify 'model_name' in step 1 of ensemble 'E'",
        "must specify 'input_map' in step 1 of ensemble 'E'",
        "must specify 'output_map' in step 1 of ensemble 'E'",
    ]


def test_a_tensor_is_written_once_and_each_end_is_used() -> None:
    assert problems(step(source="a", target="b") + step(source="a", target="b")) == [
        "ensemble tensor 'b' can appear in an output map only once for ensemble 'E' step 1",
        "ensemble input 'I' for ensemble E' is not used",
        "ensemble output 'O' for ensemble E' is not used",
    ]
