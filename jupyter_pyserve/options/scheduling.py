"""Options that say how execution is limited and placed: rate limits, resources, host policies.

Owns their texts, which are Triton's.
"""

from __future__ import annotations

import argparse
from typing import Final, NamedTuple

from jupyter_pyserve.options.types import whole_number
from jupyter_pyserve.settings import RateLimitResource

_POLICY_SETTINGS: Final = ("numa-node", "cpu-cores")


class SchedulingSettings(NamedTuple):
    """The fields of the engine's settings that these options fill."""

    rate_limit: bool
    rate_limit_resources: tuple[RateLimitResource, ...]
    host_policies: tuple[tuple[str, str, str], ...]


def add_scheduling_options(parser: argparse.ArgumentParser) -> None:
    """Let `parser` know them."""
    add = parser.add_argument
    add("--rate-limit", type=parse_rate_limit, default="off", metavar="MODE", help="off or execution_count")
    add(
        "--rate-limit-resource",
        type=parse_resource,
        action="append",
        default=[],
        metavar="NAME:COUNT[:DEVICE]",
        help="what there is of it; without any, as much of each as one instance needs",
    )
    add(
        "--host-policy",
        type=parse_host_policy,
        action="append",
        default=[],
        metavar="POLICY,SETTING=VALUE",
        help="where instances of that policy run: cpu-cores=A-B[,C-D...], numa-node=N",
    )


def scheduling_settings(options: argparse.Namespace) -> SchedulingSettings:
    """What was given."""
    return SchedulingSettings(options.rate_limit, tuple(options.rate_limit_resource), tuple(options.host_policy))


def parse_rate_limit(text: str) -> bool:
    """Whether rates are limited."""
    if text not in ("off", "execution_count"):
        raise argparse.ArgumentTypeError("invalid argument for --rate-limit")
    return text == "execution_count"


def parse_resource(text: str) -> RateLimitResource:
    """`name:count`, or `name:count:device`."""
    name, *numbers = text.split(":")
    if len(numbers) not in (1, 2):
        raise argparse.ArgumentTypeError(
            "--rate-limit-resource option format is '<resource_name>:<count>:<device>' or '<resource_name>:<count>'. "
            f"Got {text}"
        )
    count, *device = (whole_number(number) for number in numbers)
    return RateLimitResource(name, count, device[0] if device else None)


def parse_host_policy(text: str) -> tuple[str, str, str]:
    """`policy,setting=value`."""
    name, _, rest = text.partition(",")
    setting, _, value = rest.partition("=")
    if not name or not setting or not value:
        raise argparse.ArgumentTypeError(
            f"--host-policy option format is '<policy name>,<setting>=<value>'. Got {text}"
        )
    if setting not in _POLICY_SETTINGS:
        raise argparse.ArgumentTypeError(
            f"Unsupported host policy setting '{setting}' is specified, supported settings are 'numa-node', 'cpu-cores'"
        )
    return name, setting, value
