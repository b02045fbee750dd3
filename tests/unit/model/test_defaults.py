"""What is filled in, and that filling in twice changes nothing."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import ModelConfig, parse_json_config, parse_pbtxt


def read(text: str, *, default_backend: str = "python", gpus: int = 0, name: str = "m") -> ModelConfig:
    return parse_pbtxt(text, model_name=name, path="p", default_backend=default_backend, gpus=gpus)


def test_an_empty_text_is_a_python_model() -> None:
    config = read("")
    assert (config.name, config.backend, config.default_model_filename) == ("m", "python", "model.py")
    assert config.version_policy.latest == 1
    assert config.max_batch_size == 0
    assert not config.decoupled
    assert not config.response_cache


@pytest.mark.parametrize(
    ("name", "default_backend", "backend"),
    [
        ("m", "python", "python"),
        ("m", "", ""),
        ("a.python", "", "python"),
        (".python", "", ""),
        ("a.b", "python", "python"),
    ],
)
def test_the_backend_is_deduced_from_files_then_from_the_name(name: str, default_backend: str, backend: str) -> None:
    assert read("", name=name, default_backend=default_backend).backend == backend


def test_an_unknown_platform_is_not_given_a_backend() -> None:
    assert read('platform: "weird"').backend == ""


@pytest.mark.parametrize(
    ("text", "platform", "backend", "filename"),
    [
        ('platform: "onnxruntime_onnx"', "onnxruntime_onnx", "onnxruntime", "model.onnx"),
        ('platform: "tensorflow_savedmodel"', "tensorflow_savedmodel", "tensorflow", "model.savedmodel"),
        ('backend: "tensorrt"', "tensorrt_plan", "tensorrt", "model.plan"),
        ('backend: "tensorflow"', "", "tensorflow", ""),
        ('backend: "python" platform: "tensorflow_graphdef"', "tensorflow_graphdef", "python", "model.graphdef"),
        ('backend: "python" platform: "pytorch_libtorch"', "pytorch_libtorch", "python", "model.py"),
        (
            'backend: "python" platform: "tensorflow_graphdef" default_model_filename: "m.py"',
            "tensorflow_graphdef",
            "python",
            "m.py",
        ),
    ],
)
def test_platforms_of_other_backends(text: str, platform: str, backend: str, filename: str) -> None:
    config = read(text)
    assert (config.platform, config.backend, config.default_model_filename) == (platform, backend, filename)


@pytest.mark.parametrize(
    ("text", "preferred"),
    [
        ("max_batch_size: 4 dynamic_batching { }", (4,)),
        ("max_batch_size: 4 dynamic_batching { preferred_batch_size: 2 }", (2,)),
        ("dynamic_batching { }", ()),
    ],
)
def test_the_preferred_batch_size_is_the_largest_unless_given(text: str, preferred: tuple[int, ...]) -> None:
    batching = read(text).dynamic_batching
    assert batching is not None
    assert batching.preferred_batch_size == preferred


def test_sequences_idle_for_a_second() -> None:
    sequence = read("max_batch_size: 4 sequence_batching { oldest { } }").sequence_batching
    assert sequence is not None
    assert sequence.max_sequence_idle_us == 1_000_000
    assert sequence.oldest is not None
    assert sequence.oldest.preferred_batch_size == (4,)


@pytest.mark.parametrize(
    ("text", "gpus", "expected"),
    [
        ("", 0, [("m", "KIND_CPU", 1, ())]),
        ("", 2, [("m", "KIND_GPU", 1, (0, 1))]),
        ("instance_group { } instance_group { }", 0, [("m_0", "KIND_CPU", 1, ()), ("m_1", "KIND_CPU", 1, ())]),
        ('instance_group { name: "g" count: -3 }', 0, [("g", "KIND_CPU", 1, ())]),
        ("instance_group { count: 3 kind: KIND_CPU }", 2, [("m_0", "KIND_CPU", 3, ())]),
        ("instance_group { gpus: 1 }", 2, [("m_0", "KIND_GPU", 1, (1,))]),
        ("instance_group { gpus: 2 }", 2, [("m_0", "KIND_CPU", 1, (2,))]),
        ("instance_group { kind: KIND_GPU }", 0, [("m_0", "KIND_GPU", 1, ())]),
        ("instance_group { kind: KIND_MODEL }", 2, [("m_0", "KIND_MODEL", 1, ())]),
    ],
)
def test_instance_groups(text: str, gpus: int, expected: list[tuple[str, str, int, tuple[int, ...]]]) -> None:
    groups = read(text, gpus=gpus).instance_groups
    assert [(g.name, g.kind, g.count, g.gpus) for g in groups] == expected


def test_an_ensemble_has_no_instances_and_says_that_it_is_not_decoupled() -> None:
    config = read('platform: "ensemble" ensemble_scheduling { }')
    assert config.instance_groups == ()
    assert config.to_json_dict()["model_transaction_policy"] == {"decoupled": False}
    assert read('platform: "ensemble" model_transaction_policy { decoupled: true }').decoupled


def test_filling_in_twice_changes_nothing() -> None:
    config = read("max_batch_size: 3 dynamic_batching { } instance_group { count: 2 }", gpus=2)
    assert parse_json_config(config.to_json(), model_name="m", gpus=2) == config
