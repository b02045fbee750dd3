"""Reading the fields that the server interprets."""

from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import (
    BatchInput,
    BatchOutput,
    InstanceGroup,
    RateLimiter,
    RateLimiterResource,
    VersionPolicy,
    Warmup,
    WarmupInput,
    parse_pbtxt,
)


@pytest.mark.parametrize(
    ("policy", "selected"),
    [
        (VersionPolicy(latest=1), (12,)),
        (VersionPolicy(latest=2), (3, 12)),
        (VersionPolicy(latest=9), (1, 3, 12)),
        (VersionPolicy(latest=0), ()),
        (VersionPolicy(specific=(12, 7, 1)), (1, 12)),
        (VersionPolicy(specific=()), ()),
        (VersionPolicy(), (1, 3, 12)),
    ],
)
def test_versions_are_selected_by_number(policy: VersionPolicy, selected: tuple[int, ...]) -> None:
    assert policy.select((12, 1, 3, 3)) == selected


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", VersionPolicy(latest=1)),
        ("version_policy { all { } }", VersionPolicy()),
        ("version_policy { }", VersionPolicy()),
        ("version_policy { latest { num_versions: 3 } }", VersionPolicy(latest=3)),
        ("version_policy { specific { versions: [ 1, 5 ] } }", VersionPolicy(specific=(1, 5))),
    ],
)
def test_version_policies_are_read(text: str, policy: VersionPolicy) -> None:
    assert parse_pbtxt(text, model_name="m", path="p").version_policy == policy


def test_everything_else_is_read() -> None:
    config = parse_pbtxt(
        """
        instance_group { name: "g" count: 2 profile: "p" passive: true host_policy: "h"
          rate_limiter { resources { name: "r" global: true count: 3 } priority: 4 } }
        batch_input { kind: BATCH_ELEMENT_COUNT target_name: "t" data_type: TYPE_INT32 source_input: "s" }
        batch_output { target_name: "t" source_input: "s" }
        model_warmup { name: "w" batch_size: 2 count: 3
          inputs { key: "f" value { data_type: TYPE_FP32 dims: [ 1, 2 ] input_data_file: "x.bin" } } }
        model_warmup { name: "once" inputs { key: "n" value { } } }
        metric_tags { key: "k" value: "v" }
        model_metrics {
          metric_control { metric_identifier { family: "h" } histogram_options { buckets: [ 20.5, 10, 10, nan, inf ] } }
          metric_control { metric_identifier { family: "none" } }
        }
        parameters { key: "p" value { string_value: "q" } }
        model_repository_agents { agents { name: "agent" } }
        response_cache { enable: true }
        runtime: "r.py"
        """,
        model_name="m",
        path="p",
    )
    assert config.instance_groups == (
        InstanceGroup(
            name="g",
            kind="KIND_CPU",
            count=2,
            profile=("p",),
            passive=True,
            host_policy="h",
            rate_limiter=RateLimiter(resources=(RateLimiterResource(name="r", is_global=True, count=3),), priority=4),
        ),
    )
    assert config.batch_inputs == (
        BatchInput(kind="BATCH_ELEMENT_COUNT", target_names=("t",), data_type="TYPE_INT32", source_inputs=("s",)),
    )
    assert config.batch_outputs == (
        BatchOutput(kind="BATCH_SCATTER_WITH_INPUT_SHAPE", target_names=("t",), source_inputs=("s",)),
    )
    assert config.warmups == (
        Warmup(
            name="w",
            batch_size=2,
            inputs=(
                WarmupInput(name="f", data_type="TYPE_FP32", dims=(1, 2), source="input_data_file", data_file="x.bin"),
            ),
            count=3,
        ),
        Warmup(name="once", batch_size=0, inputs=(WarmupInput(name="n", data_type="TYPE_INVALID", dims=()),), count=0),
    )
    assert [warmup.runs for warmup in config.warmups] == [3, 1]
    assert (config.metric_tags, config.parameters) == ({"k": "v"}, {"p": "q"})
    assert config.histogram_bounds == {"h": (10, 20.5)}
    assert (config.agents, config.response_cache, config.runtime) == (("agent",), True, "r.py")


def test_the_tree_is_the_callers_own() -> None:
    config = parse_pbtxt("", model_name="m", path="p")
    config.to_json_dict()["instance_group"].clear()
    assert config.to_json_dict()["instance_group"] != []


def test_text_is_compact_and_not_escaped() -> None:
    config = parse_pbtxt('parameters { key: "é" value { string_value: "/" } }', model_name="m", path="p")
    assert '"parameters":{"é":{"string_value":"/"}}' in config.to_json()
