from __future__ import annotations

import json
from typing import Any

import pytest
from pyserve_stub.model_config import ModelConfig

CONTEXT = "in auto-complete-config function for model 'm'"


def config(**fields: Any) -> ModelConfig:
    return ModelConfig(json.dumps({"name": "m", "max_batch_size": 4, "input": [], "output": [], **fields}))


def tensor(**fields: Any) -> dict[str, Any]:
    return {"name": "I", "data_type": "TYPE_FP32", "dims": [4], **fields}


def test_the_dict_is_live() -> None:
    made = config()
    made.as_dict()["extra"] = {"a": [1]}
    assert made.as_dict()["extra"] == {"a": [1]}
    assert made._to_json() == '{"name":"m","max_batch_size":4,"input":[],"output":[],"extra":{"a":[1]}}'


def test_batch_size_grows_only() -> None:
    made = config()
    made.set_max_batch_size(8)
    assert made.as_dict()["max_batch_size"] == 8
    with pytest.raises(ValueError) as caught:
        made.set_max_batch_size(2)
    assert str(caught.value) == (f"configuration specified max_batch_size 8, but {CONTEXT} specified max_batch_size 2")


@pytest.mark.parametrize("other", ["sequence_batching", "ensemble_scheduling"])
def test_another_scheduler_is_kept(other: str) -> None:
    with pytest.raises(ValueError) as caught:
        config(**{other: {}}).set_dynamic_batching()
    assert str(caught.value) == (
        f"Configuration specified scheduling_choice as '{other}', but auto-complete-config function for model 'm'"
        " tries to set scheduling_choice as 'dynamic_batching'"
    )


def test_dynamic_batching_is_set_once() -> None:
    made = config()
    made.set_dynamic_batching()
    assert made.as_dict()["dynamic_batching"] == {}
    kept = config(dynamic_batching={"preferred_batch_size": [4]})
    kept.set_dynamic_batching()
    assert kept.as_dict()["dynamic_batching"] == {"preferred_batch_size": [4]}


@pytest.mark.parametrize("side", ["input", "output"])
def test_new_tensors_are_appended_with_the_given_keys_only(side: str) -> None:
    made = config()
    for name in ("I", "J"):
        getattr(made, f"add_{side}")(tensor(name=name))
    assert made.as_dict()[side] == [tensor(), tensor(name="J")]


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("dims", [{}, {"dims": []}])
def test_a_tensor_that_says_nothing_is_completed(side: str, dims: Any) -> None:
    made = config(**{side: [{"name": "I", "data_type": "TYPE_INVALID", **dims}]})
    getattr(made, f"add_{side}")(tensor())
    assert made.as_dict()[side] == [tensor()]


def test_optional_is_merged() -> None:
    made = config(input=[tensor()])
    made.add_input(tensor(optional=True))
    assert made.as_dict()["input"] == [tensor(optional=True)]
    made.add_input(tensor())
    assert made.as_dict()["input"] == [tensor(optional=True)]


AGREEMENT: list[tuple[dict[str, Any], str]] = [
    (
        tensor(data_type="TYPE_INT8"),
        "unable to load model 'm', configuration expects datatype TYPE_FP32 for SIDE 'I', model provides TYPE_INT8",
    ),
    (
        tensor(dims=[5]),
        "model 'm', tensor 'I': the model expects dims [5] but the model configuration specifies dims [4]",
    ),
    (
        tensor(dims=[]),
        "model 'm', tensor 'I': the model expects dims [] but the model configuration specifies dims [4]",
    ),
]

PROPERTIES: list[tuple[dict[str, Any], str]] = [
    ({"data_type": "TYPE_FP32", "dims": [1]}, f"SIDE {CONTEXT} is missing 'name' property."),
    ({"name": "J", "dims": [4]}, f"SIDE 'J' {CONTEXT} is missing 'data_type' property."),
    ({"name": "J", "data_type": "TYPE_FP32"}, f"SIDE 'J' {CONTEXT} is missing 'dims' property."),
    ({"name": "J"}, f"SIDE 'J' {CONTEXT} is missing 'data_type' property."),
]


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize(("given", "text"), AGREEMENT + PROPERTIES)
def test_disagreement_is_told(side: str, given: Any, text: str) -> None:
    made = config(**{side: [tensor()]})
    with pytest.raises(ValueError) as caught:
        getattr(made, f"add_{side}")(given)
    assert str(caught.value) == text.replace("SIDE", side)
    assert made.as_dict()[side] == [tensor()]


def test_optional_must_agree() -> None:
    with pytest.raises(ValueError) as caught:
        config(input=[tensor(optional=False)]).add_input(tensor(optional=True))
    assert str(caught.value) == (
        "model 'm', tensor 'I': the model expects optional True but the model configuration specifies optional False"
    )


@pytest.mark.parametrize(
    ("side", "extra", "listed"),
    [
        ("input", "foo", "'name', 'data_type', 'dims' and 'optional'"),
        ("output", "optional", "'name', 'data_type' and 'dims'"),
    ],
)
def test_unknown_properties_are_told_first(side: str, extra: str, listed: str) -> None:
    with pytest.raises(ValueError) as caught:
        getattr(config(), f"add_{side}")({"name": "J", extra: 1})
    assert str(caught.value) == f"{side} 'J' {CONTEXT} contains property other than {listed}."
    with pytest.raises(KeyError, match="name"):
        getattr(config(), f"add_{side}")({extra: 1})


def test_the_transaction_policy_is_set_once() -> None:
    made = config()
    made.set_model_transaction_policy({})
    assert made.as_dict()["model_transaction_policy"] == {}
    for _ in range(2):
        made.set_model_transaction_policy({"decoupled": True})
    assert made.as_dict()["model_transaction_policy"] == {"decoupled": True}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"decoupled": True},
            "trying to change decoupled property in auto-complete-config for model 'm', which is already set to"
            " 'False'.",
        ),
        ({"other": 1}, f"model transaction property {CONTEXT} contains property other than 'decoupled'."),
    ],
)
def test_the_transaction_policy_is_not_changed(given: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        config(model_transaction_policy={"decoupled": False}).set_model_transaction_policy(given)
    assert str(caught.value) == text
