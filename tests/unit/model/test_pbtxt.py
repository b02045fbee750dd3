"""Both grammars and what they say about mistakes."""

from __future__ import annotations

import json

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.pbtxt import parse_json_config, parse_pbtxt, require_name


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("foo: 1", '1:1 : Message type "inference.ModelConfig" has no field named "foo".'),
        ('name: "m"\nmax_batch_size: "x"', "2:17 : "),
        ("dynamic_batching { } sequence_batching { }", "1:22 : "),
        ('name: "a" name: "b"', "1:17 : "),
        ("input { ", "1:7 : "),
        ("max_batch_size: 99999999999", "1:17 : "),
        ('input { name: "I" data_type: 99 }', 'Enum type "inference.DataType" has no value 99.'),
        ("instance_group { kind: 9 }", 'Enum type "inference.ModelInstanceGroup.Kind" has no value 9.'),
        (
            "dynamic_batching { priority_queue_policy { key: 1 value { timeout_action: 5 } } }",
            'Enum type "inference.ModelQueuePolicy.TimeoutAction" has no value 5.',
        ),
    ],
)
def test_a_mistake_in_the_text_is_located(text: str, detail: str) -> None:
    with pytest.raises(PyServeError) as caught:
        parse_pbtxt(text, model_name="m", path="/models/m/config.pbtxt")
    assert caught.value.code is Code.INTERNAL
    assert caught.value.message.startswith(f"failed to read text proto from /models/m/config.pbtxt: {detail}")


def test_the_name_must_be_the_directorys() -> None:
    config = parse_pbtxt('name: "other"', model_name="m", path="p")
    with pytest.raises(PyServeError) as caught:
        require_name(config, "m")
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message == (
        "unexpected directory name 'm' for model 'other', directory name must equal model name"
    )


def test_json_takes_enums_in_any_case_and_both_spellings_of_fields() -> None:
    text = json.dumps(
        {
            "maxBatchSize": 4,
            "input": [{"name": "I", "data_type": "type_fp32", "dims": ["-1", 2]}],
            "instance_group": [{"kind": "kind_cpu"}],
            "dynamic_batching": {"priority_queue_policy": {"1": {"timeout_action": "delay"}}},
            "parameters": {"k": {"string_value": "type_v"}},
        }
    )
    config = parse_json_config(text, model_name="m")
    assert config.max_batch_size == 4
    assert config.inputs[0].data_type == "TYPE_FP32"
    assert config.inputs[0].dims == (-1, 2)
    assert config.parameters == {"k": "type_v"}
    assert config.dynamic_batching is not None
    assert config.dynamic_batching.policy(1).timeout_action.value == "DELAY"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        '{"nope": 1}',
        '{"max_batch_size": "x"}',
        '{"max_batch_size": 1.5}',
        '{"input": 3}',
        '{"parameters": [1]}',
        '{"parameters": {"k": "v"}}',
        '{"input": [{"data_type": "TYPE_NOPE"}]}',
        '{"input": [{"data_type": 99}]}',
        '{"sequence_batching": {"control_input": [{"name": "S", "control": [{"kind": 9}]}]}}',
        '{"dynamic_batching": {}, "sequence_batching": {}}',
        '{"a": ' + "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_json_that_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(PyServeError) as caught:
        parse_json_config(text, model_name="m")
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message.startswith("Invalid config override: ")


def test_json_texts_may_have_lines() -> None:
    config = parse_json_config('{"parameters": {"p": {"string_value": "a\n\tb"}}}', model_name="m")
    assert config.parameters == {"p": "a\n\tb"}


def test_json_with_another_name_is_refused() -> None:
    config = parse_json_config('{"name": "n"}', model_name="m")
    with pytest.raises(PyServeError, match="unexpected directory name 'm' for model 'n'"):
        require_name(config, "m")


@pytest.mark.parametrize(
    "text",
    [
        """{"backend": "python", sequence_batching: {direct: {}}}""",
        """{'backend': 'python', "sequence_batching": {"direct": {},},}""",
        """{ backend : 'python', sequence_batching: {'direct': {}} }""",
        """{"backend": "python", "sequence_batching": {"direct": {}}, "instance_group": [{},]}""",
    ],
)
def test_json_as_protobuf_reads_it(text: str) -> None:
    config = parse_json_config(text, model_name="m")
    assert config.backend == "python"
    assert config.sequence_batching is not None
    assert config.sequence_batching.direct is not None


def test_json_items_that_are_not_in_a_list_and_flags_that_are_texts() -> None:
    text = """{"max_batch_size": 4, "input": {"name": "I", "data_type": "type_fp32", "dims": -1, "optional": "true"},
        "dynamic_batching": {"preferred_batch_size": "4", "preserve_ordering": "false"}, "instance_group": null}"""
    config = parse_json_config(text, model_name="m")
    assert [(item.dims, item.data_type, item.optional) for item in config.inputs] == [((-1,), "TYPE_FP32", True)]
    assert config.dynamic_batching is not None
    assert config.dynamic_batching.preferred_batch_size == (4,)
    assert not config.dynamic_batching.preserve_ordering


def test_texts_are_not_touched() -> None:
    value = """a: 1, 'b: 2,} \\ "c", ] """
    parameters = json.dumps({"p": {"string_value": value}})
    config = parse_json_config(f'{{backend: \'it\\\'s "it"\', "parameters": {parameters}}}', model_name="m")
    assert config.parameters["p"] == value
    assert config.backend == """it's "it\""""


@pytest.mark.parametrize(
    "text",
    ["", "{", "{backend}", '{"backend": python}', "{} x", '{"input": [1,]}', "{'a", "{a: '", "{}'", '{"a\\'],
)
def test_what_is_no_json_in_any_reading(text: str) -> None:
    with pytest.raises(PyServeError, match="Invalid config override: "):
        parse_json_config(text, model_name="m")


@pytest.mark.parametrize("piece", ['"\\', "'\\", '"\\\n', "a", ",", " "])
def test_a_long_text_that_is_no_json_is_refused_in_one_pass(piece: str) -> None:
    with pytest.raises(PyServeError, match="Invalid config override: "):
        parse_json_config(piece * 200_000, model_name="m")
