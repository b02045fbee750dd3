"""The whole way from config.pbtxt to what clients are shown, against what Triton answered."""

from __future__ import annotations

import json

import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model import config as door
from jupyter_pyserve.model.config import (
    ModelConfig,
    parse_json_config,
    parse_pbtxt,
    require_name,
    validate_stage_a,
    validate_stage_b,
)
from tests.unit.model.recorded import ACCEPTED, REFUSED, Recorded

# Maps come in hash order there; a later release added a field to ensembles; one message is declared in another order.
ORDER_DIFFERS = {"dynp", "state"}
NEWER_FIELDS = {"ens": ',"max_inflight_requests":0'}

REFERENCE_TEXT = """
name: "ident"
backend: "python"
max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
instance_group [ { kind: KIND_CPU } ]
"""
REFERENCE_JSON = (
    '{"name":"ident","platform":"","backend":"python","runtime":"","version_policy":{"latest":{"num_versions":1}},'
    '"max_batch_size":8,"input":[{"name":"INPUT0","data_type":"TYPE_FP32","format":"FORMAT_NONE","dims":[-1],'
    '"is_shape_tensor":false,"allow_ragged_batch":false,"optional":false,"is_non_linear_format_io":false}],'
    '"output":[{"name":"OUTPUT0","data_type":"TYPE_FP32","dims":[-1],"label_filename":"","is_shape_tensor":false,'
    '"is_non_linear_format_io":false}],"batch_input":[],"batch_output":[],"optimization":{"priority":"PRIORITY_DEFAULT",'
    '"input_pinned_memory":{"enable":true},"output_pinned_memory":{"enable":true},"gather_kernel_buffer_threshold":0,'
    '"eager_batching":false},"instance_group":[{"name":"ident_0","kind":"KIND_CPU","count":1,"gpus":[],'
    '"secondary_devices":[],"profile":[],"passive":false,"host_policy":""}],"default_model_filename":"model.py",'
    '"cc_model_filenames":{},"metric_tags":{},"parameters":{},"model_warmup":[]}'
)


def read(recorded: Recorded) -> ModelConfig:
    config = parse_pbtxt(recorded.pbtxt, model_name=recorded.model, path="config.pbtxt")
    require_name(config, recorded.model)
    return config


def test_the_reference_text_is_rendered_verbatim() -> None:
    config = parse_pbtxt(REFERENCE_TEXT, model_name="ident", path="config.pbtxt")
    assert config.to_json() == REFERENCE_JSON


@pytest.mark.parametrize("recorded", ACCEPTED, ids=lambda r: r.model)
def test_what_triton_accepts_is_accepted_and_shown_alike(recorded: Recorded) -> None:
    config = read(recorded)
    assert validate_stage_a(config) == []
    assert validate_stage_b(config) == []
    shown = config.to_json()
    newer = NEWER_FIELDS.get(recorded.model, "")
    assert newer in shown
    shown = shown.replace(newer, "")
    if recorded.model in ORDER_DIFFERS:
        assert json.loads(shown) == json.loads(recorded.config)
    else:
        assert shown == recorded.config


@pytest.mark.parametrize("recorded", REFUSED, ids=lambda r: r.model)
def test_what_triton_refuses_is_refused_with_its_text_first(recorded: Recorded) -> None:
    try:
        config = read(recorded)
    except PyServeError as error:
        stage, problems = "A", [error.message]
        assert problems[0].startswith(recorded.error)
    else:
        in_a = validate_stage_a(config)
        stage, problems = ("A", in_a) if in_a else ("B", validate_stage_b(config))
        assert problems[0] == recorded.error
    assert stage == recorded.stage


@pytest.mark.parametrize("recorded", ACCEPTED, ids=lambda r: r.model)
def test_reading_the_json_again_changes_nothing(recorded: Recorded) -> None:
    config = read(recorded)
    again = parse_json_config(config.to_json(), model_name=recorded.model)
    assert again == config
    assert again.to_json() == config.to_json()


def test_the_door_offers_all_it_names() -> None:
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
