"""How single fields are rendered."""

from __future__ import annotations

import json

import pytest
from google.protobuf import text_format

from jupyter_pyserve.model.messages import model_config_messages
from jupyter_pyserve.model.render import to_tree


def tree(text: str) -> dict[str, object]:
    return to_tree(text_format.Parse(text, model_config_messages().ModelConfig()))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0", "0"),
        ("1", "1"),
        ("1.5", "1.5"),
        ("0.1", "0.1"),
        ("0.3333333", "0.333333313"),
        ("16777217", "16777216"),
        ("1e10", "10000000000.0"),
        ("nan", '"NaN"'),
        ("1e39", '"Infinity"'),
        ("-inf", '"-Infinity"'),
        ("-1e-60", "0"),
    ],
)
def test_single_floats_are_shown_as_protobuf_shows_them(written: str, shown: str) -> None:
    text = f"sequence_batching {{ direct {{ minimum_slot_utilization: {written} }} }}"
    assert f'"minimum_slot_utilization":{shown}' in json.dumps(tree(text), separators=(",", ":"))


def test_double_floats_keep_their_digits() -> None:
    text = "model_metrics { metric_control { histogram_options { buckets: [ 1, 0.1, 0.30000000000000004 ] } } }"
    assert "[1, 0.1, 0.30000000000000004]" in json.dumps(tree(text))


def test_absent_messages_are_left_out_and_absent_values_are_not() -> None:
    empty = tree("")
    assert "dynamic_batching" not in empty
    assert "optimization" not in empty
    assert empty["name"] == ""
    assert empty["max_batch_size"] == 0
    assert empty["parameters"] == {}


def test_a_chosen_alternative_is_shown_even_when_it_is_its_default() -> None:
    text = 'model_warmup { inputs { key: "I" value { zero_data: false } } }'
    assert '"zero_data": false' in json.dumps(tree(text))


def test_a_chosen_value_is_shown_last() -> None:
    shown = tree('sequence_batching { state { initial_state { name: "s" dims: 1 zero_data: true } } }')
    text = '[{"data_type":"TYPE_INVALID","dims":["1"],"name":"s","zero_data":true}]'
    assert f'"initial_state":{text}' in json.dumps(shown, separators=(",", ":"))


def test_enums_unknown_to_the_schema_stay_numbers() -> None:
    message = model_config_messages().ModelConfig()
    message.input.add().data_type = 99
    assert to_tree(message)["input"][0]["data_type"] == 99
