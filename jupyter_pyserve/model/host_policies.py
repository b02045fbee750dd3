"""Host policies: which processors an instance may run on, as numbers.

Owns the form of the settings and Triton's texts for what does not fit it. Must not know which processors there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError

#: More processors than this no machine has; a range is not counted beyond.
_MOST_CORES: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPolicy:
    """Where instances run; None is anywhere."""

    cores: tuple[int, ...] | None = None
    numa_node: int | None = None


def host_policy(name: str, given: Iterable[tuple[str, str, str]]) -> HostPolicy:
    """The policy of that name; raises `PyServeError` when its settings cannot be read."""
    settings = {setting: value for policy, setting, value in given if policy == name}
    cores, node = settings.get("cpu-cores"), settings.get("numa-node")
    return HostPolicy(
        cores=None if cores is None else parse_cores(cores),
        numa_node=None if node is None else _integer("numa-node", node),
    )


def parse_cores(text: str) -> tuple[int, ...]:
    """`0-3,8-11`: every number in any of the ranges."""
    cores: set[int] = set()
    for part in text.split(","):
        lower, dash, upper = part.partition("-")
        if not dash:
            raise PyServeError(
                Code.INVALID_ARG,
                "host policy setting 'cpu-cores' format is '<lower_cpu_core_id>-<upper_cpu_core_id>'. Got " + part,
            )
        first, last = _integer("cpu-cores", lower), _integer("cpu-cores", upper)
        cores.update(range(first, min(last, _MOST_CORES) + 1))
    return tuple(sorted(cores))


def _integer(setting: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PyServeError(Code.INVALID_ARG, f"Parsing '{setting}' value: Can't parse '{text}' to integer") from None
