"""What of a model's own answer is taken over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_pyserve.model.config import ModelConfig, merge_auto_complete, parse_pbtxt, validate_stage_b


def original(text: str = "") -> ModelConfig:
    return parse_pbtxt(text, model_name="m", path="p")


def answered(config: ModelConfig, **changes: Any) -> str:
    return json.dumps(config.to_json_dict() | changes)


def test_an_unchanged_answer_changes_nothing() -> None:
    config = original("max_batch_size: 2 dynamic_batching { }")
    assert merge_auto_complete(config, config.to_json()) == (config, None)


def test_tensors_batch_size_scheduler_and_policy_are_taken_over_and_completed() -> None:
    config = original()
    merged, problem = merge_auto_complete(
        config,
        answered(
            config,
            max_batch_size=3,
            input=[{"name": "I", "data_type": "TYPE_FP32", "dims": [4]}],
            output=[{"name": "O", "data_type": "TYPE_FP32", "dims": [-1]}],
            dynamic_batching={},
            model_transaction_policy={"decoupled": True},
        ),
    )
    assert problem is None
    assert merged.max_batch_size == 3
    assert [(t.name, t.dims, t.optional) for t in merged.inputs] == [("I", (4,), False)]
    assert [t.name for t in merged.outputs] == ["O"]
    assert merged.dynamic_batching is not None
    assert merged.dynamic_batching.preferred_batch_size == (3,)
    assert merged.decoupled
    assert [group.name for group in merged.instance_groups] == ["m"]


def test_everything_else_is_left_alone() -> None:
    config = original('parameters { key: "k" value { string_value: "v" } }')
    text = answered(config, name="x", parameters={}, instance_group=[], backend="y")
    assert merge_auto_complete(config, text) == (config, None)


def test_a_configured_scheduler_stays_as_it_is() -> None:
    config = original("max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 5 }")
    text = answered(config, dynamic_batching={"max_queue_delay_microseconds": 7})
    assert merge_auto_complete(config, text) == (config, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": [{"name": "I", "data_type": "TYPE_NOPE", "dims": [1]}]}, "TYPE_NOPE"),
        ({"input": [{"name": "I", "data_type": "TYPE_FP32", "dims": [1.5]}]}, "1.5"),
        ({"output": 3}, "output"),
        ({"colour": "red"}, "colour"),
        ({"sequence_batching": {}}, "scheduling_choice is 'dynamic_batching' and cannot become 'sequence_batching'"),
        ({"max_batch_size": "many"}, "many"),
    ],
)
def test_an_answer_that_cannot_be_converted_is_dropped_as_a_whole(changes: dict[str, Any], reason: str) -> None:
    config = original("max_batch_size: 8 dynamic_batching { }")
    merged, problem = merge_auto_complete(config, answered(config, **{"max_batch_size": 9} | changes))
    assert merged == config
    assert problem is not None
    assert problem.startswith("ignoring the auto-completed configuration of model 'm': ")
    assert reason in problem


@pytest.mark.parametrize("text", ["", "[]", "nope", "[" * 100_000], ids=["empty", "list", "word", "deep"])
def test_an_answer_that_is_no_object_is_dropped(text: str) -> None:
    config = original()
    merged, problem = merge_auto_complete(config, text)
    assert merged is config
    assert problem is not None


def test_an_answer_that_converts_but_is_wrong_is_left_to_validation() -> None:
    config = original()
    merged, problem = merge_auto_complete(
        config, answered(config, input=[{"name": "N", "data_type": "TYPE_FP32", "dims": [0]}])
    )
    assert problem is None
    assert validate_stage_b(merged) == [
        "model input 'N' dimension must be integer >= 1, or -1 to indicate a variable-size dimension for m"
    ]
