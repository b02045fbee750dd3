"""General rules, instances and warm-up; the rest of Triton's texts are compared in `test_config`."""

from __future__ import annotations

import json

import pytest

from jupyter_pyserve.model.config import ModelConfig, join_problems, parse_pbtxt, validate_stage_a, validate_stage_b

IO = 'input { name: "I" data_type: TYPE_FP32 dims: 2 } output { name: "O" data_type: TYPE_FP32 dims: 2 }'


def read(text: str, *, gpus: int = 0, default_backend: str = "python", name: str = "M") -> ModelConfig:
    return parse_pbtxt(text, model_name=name, path="p", gpus=gpus, default_backend=default_backend)


def test_every_problem_is_reported_at_once() -> None:
    config = read(
        "max_batch_size: -1 response_cache { enable: true } model_transaction_policy { decoupled: true } "
        "dynamic_batching { preferred_batch_size: [ 0, 3 ] priority_levels: 2 preserve_ordering: true }"
    )
    assert validate_stage_a(config) == [
        "'max_batch_size' must be non-negative value for M",
        "dynamic batching preferred size must be positive for M",
        "dynamic batching preferred size must be <= max batch size for M",
        "default priority level must be in range [1, 2] for M",
        "Only one priority level is allowed when 'preserve_ordering' is true for M",
        "Response Cache does not currently support model M with 'decoupled' transaction policy. "
        "Please disable the response cache.",
    ]


def test_problems_are_joined_and_a_single_one_is_left_as_it_is() -> None:
    assert join_problems(["a"]) == "a"
    assert join_problems(["a", "b"]) == "a; b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('platform: "weird"', "unexpected platform type 'weird' for M"),
        ('backend: "tensorflow"', "unexpected 'platform' and 'backend' pair, got:, tensorflow"),
        (
            'backend: "onnxruntime" platform: "weird"',
            "unexpected 'platform' and 'backend' pair, got:weird, onnxruntime",
        ),
        (
            'model_repository_agents { agents { name: "x" } }',
            "unable to find 'libtritonrepoagent_x.so' for repo agent 'x': none are supported here",
        ),
    ],
)
def test_who_runs_the_model(text: str, problem: str) -> None:
    assert validate_stage_a(read(text)) == [problem]


def test_a_model_must_have_a_name_and_something_to_run_it() -> None:
    assert validate_stage_a(read("", default_backend="")) == [
        "Invalid model name: Could not determine backend for model 'M' with no backend in model configuration. "
        "Expected model name of the form 'model.<backend_name>'."
    ]
    assert validate_stage_a(read("", name="")) == ["model configuration must specify 'name'"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ('runtime: "other.py"', []),
        ('runtime: "nope.so"', ["unable to find backend library 'nope.so' for model 'M', searched: "]),
        (
            'backend: "onnxruntime"',
            [
                "unable to find backend library for backend 'onnxruntime', "
                "try specifying runtime on the model configuration."
            ],
        ),
        ('platform: "ensemble" ensemble_scheduling { }', []),
    ],
)
def test_the_backend_must_be_one_of_ours(text: str, problems: list[str]) -> None:
    assert validate_stage_b(read(text)) == problems


GROUP = "instance group M_0 of model M"
UNUSABLE = "GPUs with at least the minimum required CUDA compute compatibility of 6.000000 are:"


@pytest.mark.parametrize(
    ("group", "gpus", "problems"),
    [
        ("kind: KIND_GPU", 1, []),
        ("kind: KIND_GPU", 0, [f"{GROUP} has kind KIND_GPU but no GPUs are available"]),
        ("kind: KIND_GPU gpus: [ 1, 2 ]", 2, [f"{GROUP} specifies invalid or unsupported gpu id 2. {UNUSABLE} 0, 1"]),
        ("kind: KIND_CPU gpus: 0", 1, [f"{GROUP} has kind KIND_CPU but specifies one or more GPUs"]),
        ("gpus: 4", 1, [f"{GROUP} has kind KIND_CPU but specifies one or more GPUs"]),
    ],
)
def test_instances(group: str, gpus: int, problems: list[str]) -> None:
    assert validate_stage_b(read(f"instance_group {{ {group} }}", gpus=gpus), gpus=gpus) == problems


@pytest.mark.parametrize("key", ['a"} b', "a-b", "\u00e9", " ", "a\n"])
def test_a_tag_must_be_a_label(key: str) -> None:
    problem = f"metric tag '{key}' of model 'M' must have letters, digits and underscores only"
    assert validate_stage_b(read(f"metric_tags {{ key: {json.dumps(key)} }} metric_tags {{ key: '7_b' }}")) == [problem]


@pytest.mark.parametrize(
    ("batch_size", "tensor", "problems"),
    [
        (1, "data_type: TYPE_FP32 dims: 2 zero_data: true", []),
        (0, "data_type: TYPE_FP32 dims: -1", []),
        (3, "dims: 2 random_data: true", ["warmup sample 'w' batch-size must be <= 2 for 'M'"]),
        (
            1,
            "dims: -1",
            [
                "warmup setting expects all variable-size dimensions are specified for input 'I'",
                "[request id: <id_unknown>] warmup setting expects input 'I' to have input_data_type set",
            ],
        ),
    ],
)
def test_warm_up(batch_size: int, tensor: str, problems: list[str]) -> None:
    text = (
        f'{IO} max_batch_size: 2 model_warmup {{ name: "w" batch_size: {batch_size} '
        f'inputs {{ key: "I" value {{ {tensor} }} }} }}'
    )
    assert validate_stage_b(read(text)) == problems
