"""Configurations that are refused, or that a reader might think are: what the client is told, and what the log says."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import AnyCase, Case, Files, Logged, get, post
from tests.golden.cases.texts import IN, OUT, ensemble, model, step, tensors

OPTIONS = ("--model-control-mode=explicit",)

_COPY = "made = {'O': given['I']}"


def _tensor(kind: str, text: str) -> str:
    return f'{kind} [ {{ name: "{kind[0].upper()}" {text} }} ]'


def _input(text: str) -> Files:
    return model(_COPY, given=_tensor("input", text))


def _output(text: str) -> Files:
    return model(_COPY, made=_tensor("output", text))


def _more(text: str, *, batch: int = 4) -> Files:
    return model(_COPY, more=text, batch=batch)


def _control(text: str) -> Files:
    return _more(f'sequence_batching {{ control_input [ {{ name: "C" control [ {text} ] }} ] }}')


def _warm(text: str, *, batch: int = 4) -> Files:
    return _more(f'model_warmup [ {{ name: "w" {text} }} ]', batch=batch)


def _plain(config: str) -> Files:
    """A configuration of which nothing is given but this."""
    return {"config.pbtxt": config, "1/model.py": "raise ValueError('not reached')\n"}


def _ensemble(scheduling: str) -> Files:
    return {"config.pbtxt": f'platform: "ensemble" max_batch_size: 4 {IN} {OUT} {scheduling}', "1/empty": ""}


_START = "kind: CONTROL_SEQUENCE_START"
_CORRID = "kind: CONTROL_SEQUENCE_CORRID"
_FALSE_TRUE = "int32_false_true: [ 0, 1 ]"

#: Refused while the repository is read: the client hears only that much.
POLLED: Mapping[str, Files] = {
    "platform_and_backend": _plain(f'platform: "ensemble" backend: "python" {IN} {OUT}'),
    "ensemble_without_scheduling": _plain(f'platform: "ensemble" {IN} {OUT}'),
    "ensemble_scheduling_of_another": _more('ensemble_scheduling { step { model_name: "m" } }'),
    "preferred_negative": _more("dynamic_batching { preferred_batch_size: [ -1 ] }"),
    "preferred_above": _more("dynamic_batching { preferred_batch_size: [ 2, 5 ] }"),
    "priorities_without_default": _more("dynamic_batching { priority_levels: 2 }"),
    "priority_policy_outside": _more(
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 3 value { } } }"
    ),
    "priority_policy_zero": _more(
        "dynamic_batching { priority_levels: 2 default_priority_level: 1 priority_queue_policy { key: 0 value { } } }"
    ),
    "ordering_and_priorities": _more(
        "dynamic_batching { preserve_ordering: true priority_levels: 2 default_priority_level: 1 }"
    ),
    "ordering_and_delay": _more(
        "dynamic_batching { preserve_ordering: true"
        " default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1 } }"
    ),
    "control_nameless": _more(f"sequence_batching {{ control_input [ {{ control [ {{ {_START} }} ] }} ] }}"),
    "control_twice": _control(f"{{ {_START} {_FALSE_TRUE} }}, {{ {_START} {_FALSE_TRUE} }}"),
    "control_without_values": _control(f"{{ {_START} }}"),
    "control_two_kinds": _control(f"{{ {_START} {_FALSE_TRUE} fp32_false_true: [ 0, 1 ] }}"),
    "control_one_value": _control(f"{{ {_START} int32_false_true: [ 0 ] }}"),
    "control_three_floats": _control(f"{{ {_START} fp32_false_true: [ 0, 1, 2 ] }}"),
    "corrid_values": _control(f"{{ {_CORRID} {_FALSE_TRUE} }}"),
    "corrid_float": _control(f"{{ {_CORRID} data_type: TYPE_FP32 }}"),
    "corrid_twice": _control(f"{{ {_CORRID} data_type: TYPE_INT64 }}, {{ {_CORRID} data_type: TYPE_INT64 }}"),
    "oldest_preferred_above": _more(
        "sequence_batching { oldest { max_candidate_sequences: 4 preferred_batch_size: 5 } }"
    ),
    "direct_utilization_above": _more("sequence_batching { direct { minimum_slot_utilization: 1.5 } }"),
    "direct_utilization_negative": _more("sequence_batching { direct { minimum_slot_utilization: -0.5 } }"),
    "ensemble_without_steps": _ensemble("ensemble_scheduling { }"),
    "ensemble_step_nameless": _ensemble(
        'ensemble_scheduling { step { input_map { key: "I" value: "I" } output_map { key: "O" value: "O" } } }'
    ),
    "ensemble_step_without_inputs": _ensemble(
        'ensemble_scheduling { step { model_name: "m" output_map { key: "O" value: "O" } } }'
    ),
    "ensemble_step_without_outputs": _ensemble(
        'ensemble_scheduling { step { model_name: "m" input_map { key: "I" value: "I" } } }'
    ),
    "tensorflow_without_platform": _plain(f'backend: "tensorflow" {IN} {OUT}'),
    "onnxruntime_of_another": _plain(f'backend: "onnxruntime" platform: "weird" {IN} {OUT}'),
    "pytorch_of_another": _plain(f'backend: "pytorch" platform: "onnxruntime_onnx" {IN} {OUT}'),
    "ensemble_made_twice": ensemble(step("m", "I", "O"), step("m", "I", "O")),
    "ensemble_input_unused": ensemble(step("m", "X", "O")),
    "ensemble_output_unused": ensemble(step("m", "I", "X")),
}

#: Not what a configuration can say; the log says where.
UNREAD: Mapping[str, Files] = {
    "enum_unknown": _input("data_type: TYPE_FP24 dims: 1"),
    "number_as_text": _more('version_policy { latest { num_versions: "1" } }'),
    "negative_unsigned": _more("version_policy { latest { num_versions: -1 } }"),
    "two_version_policies": _more("version_policy { all { } latest { } }"),
    "two_strategies": _more("sequence_batching { direct { } oldest { max_candidate_sequences: 1 } }"),
}  # fmt: skip

#: Refused while the model is made.
MADE: Mapping[str, Files] = {
    "reshape_variable": _input("data_type: TYPE_FP32 dims: [ -1, -1 ] reshape { shape: [ -1 ] }"),
    "reshape_zero": _input("data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ 0 ] }"),
    "reshape_negative": _input("data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ -2 ] }"),
    "reshape_segments": _input("data_type: TYPE_FP32 dims: [ 2, -1, 4 ] reshape { shape: [ 4, -1, 2 ] }"),
    "format_nchw": _input("data_type: TYPE_FP32 format: FORMAT_NCHW dims: [ 1, 2 ]"),
    "non_linear": _input("data_type: TYPE_FP32 dims: [ 1 ] is_non_linear_format_io: true"),
    "output_dim_zero": _output("data_type: TYPE_FP32 dims: [ 0 ]"),
    "output_dim_minus_two": _output("data_type: TYPE_FP32 dims: [ -2 ]"),
    "output_reshape_size": _output("data_type: TYPE_FP32 dims: [ 4 ] reshape { shape: [ 3 ] }"),
    "output_shape_tensor": _output("data_type: TYPE_INT32 dims: [ 1 ] is_shape_tensor: true"),
    "output_non_linear": _output("data_type: TYPE_FP32 dims: [ 1 ] is_non_linear_format_io: true"),
    "label_above": _output('data_type: TYPE_FP32 dims: [ 1 ] label_filename: "../nobody/labels.txt"'),
    "batch_input_unknown_source": _more(
        'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "T" data_type: TYPE_INT32 source_input: "ZZ" }'
    ),
    "batch_input_sourceless": _more('batch_input { kind: BATCH_ELEMENT_COUNT target_name: "T" data_type: TYPE_INT32 }'),
    "batch_input_type": _more(
        'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "T" data_type: TYPE_FP64 source_input: "I" }'
    ),
    "batch_input_two_targets": _more(
        'batch_input { kind: BATCH_ELEMENT_COUNT target_name: [ "T", "U" ] data_type: TYPE_INT32 source_input: "I" }'
    ),
    "batch_output_unknown_source": _more(
        'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "O" source_input: "ZZ" }'
    ),
    "batch_output_unknown_target": _more(
        'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "ZZ" source_input: "I" }'
    ),
    "warm_variable": _warm('inputs { key: "I" value { data_type: TYPE_FP32 dims: [ -1 ] zero_data: true } }'),
    "warm_file_absent": _warm(
        'batch_size: 1 inputs { key: "I" value { data_type: TYPE_FP32 dims: [ 1 ] input_data_file: "absent" } }'
    ),
    "platform_of_onnxruntime": _plain(f'platform: "onnxruntime_onnx" {IN} {OUT}'),
    "platform_of_tensorflow": _plain(f'platform: "tensorflow_savedmodel" {IN} {OUT}'),
    "platform_of_tensorrt": _plain(f'platform: "tensorrt_plan" {IN} {OUT}'),
    "platform_of_pytorch": _plain(f'platform: "pytorch_libtorch" {IN} {OUT}'),
    "versions_absent": _more("version_policy { specific { versions: [ 7, 9 ] } }"),
    "member_absent": ensemble(step("nobody", "I", "T"), step("nobody_either", "T", "O")),
    "member_input_absent": ensemble(("good", {"Q": "I"}, {"O": "O"})),
    "member_output_absent": ensemble(("good", {"I": "I"}, {"Q": "O"})),
    "member_type": ensemble(step("good", "I", "O"), given=_tensor("input", "data_type: TYPE_INT32 dims: -1")),
    "member_shape": ensemble(step("good", "I", "O"), given=tensors("input", "I", dims="-1, 3")),
    "member_is_broken": ensemble(step("output_dim_zero", "I", "O")),
    "member_version": {
        "config.pbtxt": ensemble(step("good", "I", "O"))["config.pbtxt"].replace("-1 input_map", "9 input_map"),
        "1/empty": "",
    },
}

#: Odd, and fine.
FINE: Mapping[str, Files] = {
    "good": _more(""),
    "python_of_pytorch": _more('platform: "pytorch_libtorch"'),
    "python_of_weird": _more('platform: "weird"'),
    "python_of_tensorflow_named": _more('platform: "tensorflow_graphdef" default_model_filename: "model.py"'),
    "label_in_folder": {
        **_output('data_type: TYPE_FP32 dims: [ 1 ] label_filename: "1/../labels.txt"'),
        "labels.txt": "cat\n",
    },
    "same_input_twice": model(_COPY, given=tensors("input", "I I")),
    "ordering_and_delay_without_timeout": _more(
        "dynamic_batching { preserve_ordering: true default_queue_policy { timeout_action: DELAY } }"
    ),
    "batcher_without_batches": _more("dynamic_batching { }", batch=0),
    "control_empty": _more('sequence_batching { control_input [ { name: "C" } ] }'),
    "instances_negative": _more("instance_group [ { kind: KIND_CPU count: -3 } ]"),
    "instances_named": _more('instance_group [ { name: "g" kind: KIND_CPU }, { kind: KIND_CPU count: 2 } ]'),
    "much_besides": _more(
        'metric_tags { key: "k" value: "v" } parameters { key: "p" value { string_value: "x" } }'
        ' model_operations { op_library_filename: "x" } cc_model_filenames { key: "7" value: "x" }'
        " optimization { priority: PRIORITY_MAX graph { level: 1 } cuda { graphs: true } eager_batching: true"
        " input_pinned_memory { enable: false } gather_kernel_buffer_threshold: 3"
        ' execution_accelerators { cpu_execution_accelerator { name: "x" parameters { key: "a" value: "b" } } } }'
    ),
    "queue_policies": _more(
        "dynamic_batching { priority_levels: 2 default_priority_level: 2 max_queue_delay_microseconds: 5"
        " default_queue_policy { max_queue_size: 3 allow_timeout_override: true }"
        " priority_queue_policy { key: 1 value { timeout_action: DELAY default_timeout_microseconds: 9 } } }"
    ),
}

MODELS: Mapping[str, Files] = {**POLLED, **UNREAD, **MADE, **FINE}


def _load(name: str) -> Case:
    return post(f"configured_{name}", f"/v2/repository/models/{name}/load", settled=True)


def _log(name: str) -> Logged:
    return Logged(name=f"configured_{name}_log", word=f"Poll failed for model directory '{name}'")


CASES: tuple[AnyCase, ...] = (
    *(case(name) for name in POLLED for case in (_load, _log)),
    *map(_load, UNREAD),
    *map(_load, FINE),
    *(get(f"configured_{name}_config", f"/v2/models/{name}/config") for name in FINE),
    *map(_load, MADE),
)
