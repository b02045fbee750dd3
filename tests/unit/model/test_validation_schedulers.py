"""Rules on schedulers that are not among the recorded refusals."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import parse_pbtxt, validate_stage_a


def problems(text: str) -> list[str]:
    return validate_stage_a(parse_pbtxt(f"max_batch_size: 4 {text}", model_name="M", path="p"))


ORDERED_DELAY = "Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for M"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default_queue_policy { timeout_action: DELAY }", []),
        ("default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 1 }", []),
        ("default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 }", [ORDERED_DELAY]),
        (
            "priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 1 } }",
            [ORDERED_DELAY],
        ),
    ],
)
def test_order_and_delay_exclude_each_other(policy: str, expected: list[str]) -> None:
    assert problems(f"dynamic_batching {{ preserve_ordering: true {policy} }}") == expected
    assert problems(f"dynamic_batching {{ {policy} }}") == []


def test_one_level_may_be_ordered() -> None:
    assert problems("dynamic_batching { preserve_ordering: true priority_levels: 1 default_priority_level: 1 }") == []


def test_an_unbatched_model_may_have_a_batcher_but_no_preferred_size() -> None:
    text = "max_batch_size: 0 dynamic_batching { preferred_batch_size: 1 }"
    assert validate_stage_a(parse_pbtxt(text, model_name="M", path="p")) == [
        "dynamic batching preferred size must be <= max batch size for M"
    ]


@pytest.mark.parametrize(("utilization", "fine"), [("0", True), ("1", True), ("1.01", False), ("-0.1", False)])
def test_slot_utilization(utilization: str, *, fine: bool) -> None:
    expected = [] if fine else ["sequence batching minimum slot utilization must be in range (0.0, 1.0] for M"]
    assert problems(f"sequence_batching {{ direct {{ minimum_slot_utilization: {utilization} }} }}") == expected


def test_controls_need_not_be_there() -> None:
    assert problems('sequence_batching { control_input { name: "C" } }') == []


@pytest.mark.parametrize("kind", ["UINT64", "INT64", "UINT32", "INT32", "STRING"])
def test_correlation_ids_come_in_five_types(kind: str) -> None:
    control = f"control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_{kind} }}"
    assert problems(f'sequence_batching {{ control_input {{ name: "C" {control} }} }}') == []


@pytest.mark.parametrize("second", ["START", "READY"])
def test_a_tensor_is_for_one_control_only(second: str) -> None:
    inputs = " ".join(
        f'control_input {{ name: "C" control {{ kind: CONTROL_SEQUENCE_{kind} int32_false_true: [0, 1] }} }}'
        for kind in ("START", second)
    )
    assert problems(f"sequence_batching {{ {inputs} }}") == [
        "sequence batching control tensor 'C' is specified for multiple control kinds for M"
    ]


def test_each_form_of_a_boolean_control_is_fine_alone() -> None:
    for pair in ("int32_false_true: [ 0, 1 ]", "fp32_false_true: [ 0, 1 ]", "bool_false_true: [ false, true ]"):
        assert problems(f'sequence_batching {{ control_input {{ name: "C" control {{ {pair} }} }} }}') == []
