"""`ModelConfig`, the object that auto_complete_config edits (section 1.14)."""

from __future__ import annotations

from tests.golden.backend.scripted import probe

_PLAIN = '{"name": "M", "max_batch_size": 4, "input": [{"name": "I", "data_type": "TYPE_FP32", "dims": [1]}]}'


def _config(edits: str, text: str = _PLAIN) -> str:
    """The configuration after the edits."""
    return f"c = pb_utils.ModelConfig({text!r})\n{edits}\nc.as_dict()"


_EMPTY = '{"name": "M"}'
_INVALID = '{"name": "M", "input": [{"name": "I", "data_type": "TYPE_INVALID", "dims": []}]}'
_OPTIONAL = (
    '{"name": "M", "input": [{"name": "I", "data_type": "TYPE_FP32", "dims": [1], "optional": true}],'
    ' "output": [{"name": "O", "data_type": "TYPE_FP32", "dims": [1]}]}'
)
_INPUT = "{'name': 'J', 'data_type': 'TYPE_INT8', 'dims': [2]}"

_EDITS = {
    "untouched": _config(""),
    "as_dict_live": "c = pb_utils.ModelConfig('{\"name\": \"M\"}')\nc.as_dict()['colour'] = 'red'\n[c.as_dict(), c.as_dict() is c.as_dict()]",
    "constructor_dict": "pb_utils.ModelConfig({'name': 'M'})",
    "constructor_bad_json": "pb_utils.ModelConfig('{')",
    "constructor_nothing": "pb_utils.ModelConfig()",
    "constructor_keyword": "pb_utils.ModelConfig(model_config='{}').as_dict()",
    "constructor_bytes": 'pb_utils.ModelConfig(b\'{"name": "M"}\').as_dict()',
    "methods": "sorted(n for n in dir(pb_utils.ModelConfig) if n[0] != '_')",
    "batch_larger": _config("c.set_max_batch_size(8)"),
    "batch_equal": _config("c.set_max_batch_size(4)"),
    "batch_smaller": _config("c.set_max_batch_size(2)"),
    "batch_absent": _config("c.set_max_batch_size(2)", _EMPTY),
    "batch_zero": _config("c.set_max_batch_size(0)", '{"name": "M", "max_batch_size": 0}'),
    "batch_negative": _config("c.set_max_batch_size(-1)", '{"name": "M", "max_batch_size": 0}'),
    "batch_text": _config("c.set_max_batch_size('8')"),
    "dynamic": _config("c.set_dynamic_batching()"),
    "dynamic_twice": _config("c.set_dynamic_batching()\nc.set_dynamic_batching()"),
    "dynamic_present": _config(
        "c.set_dynamic_batching()", '{"name": "M", "dynamic_batching": {"max_queue_delay_microseconds": 5}}'
    ),
    "dynamic_sequence": _config("c.set_dynamic_batching()", '{"name": "M", "sequence_batching": {}}'),
    "dynamic_ensemble": _config("c.set_dynamic_batching()", '{"name": "M", "ensemble_scheduling": {}}'),
    "dynamic_returns": 'pb_utils.ModelConfig(\'{"name": "M"}\').set_dynamic_batching()',
    "input_new": _config(f"c.add_input({_INPUT})"),
    "input_first": _config(f"c.add_input({_INPUT})", '{"name": "M", "input": []}'),
    "input_list_absent": _config(f"c.add_input({_INPUT})", _EMPTY),
    "input_optional": _config("c.add_input({'name': 'J', 'data_type': 'TYPE_INT8', 'dims': [2], 'optional': True})"),
    "input_same": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [1]})"),
    "input_same_optional": _config(
        "c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [1], 'optional': True})"
    ),
    "input_other_type": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_INT8', 'dims': [1]})"),
    "input_other_dims": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [2]})"),
    "input_other_both": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_INT8', 'dims': [2]})"),
    "input_other_optional": _config(
        "c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [1], 'optional': False})", _OPTIONAL
    ),
    "input_optional_left_out": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': [1]})", _OPTIONAL),
    "input_completed": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_INT8', 'dims': [2]})", _INVALID),
    "input_empty_dims": _config("c.add_input({'name': 'J', 'data_type': 'TYPE_INT8', 'dims': []})"),
    "input_dims_emptied": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': []})"),
    "input_dims_tuple": _config("c.add_input({'name': 'I', 'data_type': 'TYPE_FP32', 'dims': (1,)})"),
    "input_without_name": _config("c.add_input({'data_type': 'TYPE_INT8', 'dims': [2]})"),
    "input_without_type": _config("c.add_input({'name': 'J', 'dims': [2]})"),
    "input_without_dims": _config("c.add_input({'name': 'J', 'data_type': 'TYPE_INT8'})"),
    "input_without_anything": _config("c.add_input({})"),
    "input_unknown_key": _config("c.add_input({'name': 'J', 'data_type': 'TYPE_INT8', 'dims': [2], 'colour': 1})"),
    "input_unknown_key_nameless": _config("c.add_input({'colour': 1})"),
    "input_bad_type": _config("c.add_input({'name': 'J', 'data_type': 'FLOAT', 'dims': [2]})"),
    "input_bad_dims": _config("c.add_input({'name': 'J', 'data_type': 'TYPE_INT8', 'dims': 'two'})"),
    "input_not_a_dict": _config("c.add_input([1])"),
    "input_none": _config("c.add_input(None)"),
    "input_shared": "c = pb_utils.ModelConfig('{\"name\": \"M\", \"input\": []}')\nd = {'name': 'J', 'data_type': 'TYPE_INT8', 'dims': [2]}\nc.add_input(d)\nd['dims'].append(3)\nd['colour'] = 1\nc.as_dict()",
    "input_existing_bare": _config(f"c.add_input({_INPUT})", '{"name": "M", "input": [{"name": "J"}]}'),
    "input_existing_nameless": _config(f"c.add_input({_INPUT})", '{"name": "M", "input": [{"dims": [1]}]}'),
    "output_new": _config(
        "c.add_output({'name': 'P', 'data_type': 'TYPE_INT8', 'dims': [2]})", '{"name": "M", "output": []}'
    ),
    "output_list_absent": _config("c.add_output({'name': 'P', 'data_type': 'TYPE_INT8', 'dims': [2]})"),
    "output_same": _config("c.add_output({'name': 'O', 'data_type': 'TYPE_FP32', 'dims': [1]})", _OPTIONAL),
    "output_other_type": _config("c.add_output({'name': 'O', 'data_type': 'TYPE_INT8', 'dims': [1]})", _OPTIONAL),
    "output_other_dims": _config("c.add_output({'name': 'O', 'data_type': 'TYPE_FP32', 'dims': [9]})", _OPTIONAL),
    "output_optional": _config(
        "c.add_output({'name': 'O', 'data_type': 'TYPE_FP32', 'dims': [1], 'optional': True})", _OPTIONAL
    ),
    "output_without_name": _config("c.add_output({'data_type': 'TYPE_INT8', 'dims': [2]})"),
    "output_without_type": _config("c.add_output({'name': 'P', 'dims': [2]})"),
    "output_without_dims": _config("c.add_output({'name': 'P', 'data_type': 'TYPE_INT8'})"),
    "policy_true": _config("c.set_model_transaction_policy({'decoupled': True})"),
    "policy_false": _config("c.set_model_transaction_policy({'decoupled': False})"),
    "policy_empty": _config("c.set_model_transaction_policy({})"),
    "policy_unknown_key": _config("c.set_model_transaction_policy({'decoupled': True, 'colour': 1})"),
    "policy_same": _config(
        "c.set_model_transaction_policy({'decoupled': True})",
        '{"name": "M", "model_transaction_policy": {"decoupled": true}}',
    ),
    "policy_other": _config(
        "c.set_model_transaction_policy({'decoupled': False})",
        '{"name": "M", "model_transaction_policy": {"decoupled": true}}',
    ),
    "policy_other_from_false": _config(
        "c.set_model_transaction_policy({'decoupled': True})",
        '{"name": "M", "model_transaction_policy": {"decoupled": false}}',
    ),
    "policy_present_empty": _config(
        "c.set_model_transaction_policy({'decoupled': True})", '{"name": "M", "model_transaction_policy": {}}'
    ),
    "policy_nameless": "pb_utils.ModelConfig('{}').set_model_transaction_policy({'x': 1})",
    "nameless": "pb_utils.ModelConfig('{\"input\": []}').add_input({})",
}

CASES = tuple(probe(f"config_{name}", text) for name, text in _EDITS.items())
