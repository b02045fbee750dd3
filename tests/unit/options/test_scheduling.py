from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.scheduling import SchedulingSettings, add_scheduling_options, scheduling_settings
from jupyter_pyserve.settings import RateLimitResource

RESOURCE = (
    "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or '<resource_name>:<count>'. Got "
)
POLICY = "--host-policy option format is '<policy name>,<setting>=<value>'. Got "


def read(*words: str) -> SchedulingSettings:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_scheduling_options(parser)
    return scheduling_settings(parser.parse_args(words))


def test_nothing_is_limited_unless_it_is_asked_for() -> None:
    assert read() == SchedulingSettings(False, (), ())
    assert not read("--rate-limit=off").rate_limit


def test_limits_resources_and_policies_are_gathered() -> None:
    assert read(
        "--rate-limit=execution_count",
        "--rate-limit-resource=R1:4",
        "--rate-limit-resource=R2:2:1",
        "--host-policy=hp,cpu-cores=0-1,3-3",
        "--host-policy=hp,numa-node=0",
    ) == SchedulingSettings(
        True,
        (RateLimitResource("R1", 4), RateLimitResource("R2", 2, 1)),
        (("hp", "cpu-cores", "0-1,3-3"), ("hp", "numa-node", "0")),
    )


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--rate-limit=foo", "invalid argument for --rate-limit"),
        ("--rate-limit-resource=R", f"{RESOURCE}R"),
        ("--rate-limit-resource=R:1:2:3", f"{RESOURCE}R:1:2:3"),
        ("--rate-limit-resource=R:x", "Invalid option value. Got x"),
        ("--rate-limit-resource=R:1:y", "Invalid option value. Got y"),
        ("--host-policy=hp", f"{POLICY}hp"),
        ("--host-policy=hp,cpu-cores", f"{POLICY}hp,cpu-cores"),
        ("--host-policy=,cpu-cores=1", f"{POLICY},cpu-cores=1"),
        (
            "--host-policy=hp,foo=x",
            "Unsupported host policy setting 'foo' is specified, supported settings are 'numa-node', 'cpu-cores'",
        ),
    ],
)
def test_what_does_not_fit_is_named(word: str, text: str) -> None:
    with pytest.raises(argparse.ArgumentError) as caught:
        read(word)
    assert caught.value.message == text
