"""Where a stub runs: the processors that its host policy names, and how its process ranks beside others.

Owns what is asked of the operating system about that; the stub's own process carries it out before anything else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import InstanceSpec, ModelConfig
from jupyter_pyserve.model.host_policies import host_policy, parse_cores

_NODES: Final = Path("/sys/devices/system/node")
_LOWEST: Final = 19


class Spawner(Protocol):
    """Whoever makes processes of stubs and can be told where they run."""

    async def spawn(
        self,
        title: Sequence[str],
        fds: Sequence[int],
        on_exit: Callable[[int], None],
        *,
        place: Mapping[str, Any] | None,
    ) -> int:
        """Start one; its process id. `on_exit` gets its wait status when it ends."""


class Placed:
    """Makes processes of stubs in one place."""

    def __init__(self, spawner: Spawner, place: Mapping[str, Any] | None) -> None:
        self._spawner = spawner
        self._place = place

    async def spawn(self, title: Sequence[str], fds: Sequence[int], on_exit: Callable[[int], None]) -> int:
        """As the spawner's, there."""
        return await self._spawner.spawn(title, fds, on_exit, place=self._place)


def place_of(
    spec: InstanceSpec, config: ModelConfig, policies: Iterable[tuple[str, str, str]]
) -> Mapping[str, Any] | None:
    """What a stub's process is told about where it runs, or None; raises `PyServeError` when it cannot run there."""
    policy = host_policy(spec.host_policy, policies)
    cores = policy.cores
    if policy.numa_node is not None:
        # Memory lies where it is first written, so who stays at a node has its memory there.
        there = _cores_of(policy.numa_node)
        cores = there if cores is None else cores
    if cores is not None:
        _require_usable(cores)
    nice = _LOWEST if config.priority == "PRIORITY_MIN" else 0
    return None if cores is None and not nice else {"cores": cores, "nice": nice}


def _cores_of(node: int) -> tuple[int, ...]:
    try:
        listed = (_NODES / f"node{node}" / "cpulist").read_text()
    except OSError as error:
        raise PyServeError(Code.INTERNAL, f"Unable to set NUMA memory policy: {error.strerror}") from error
    return parse_cores(",".join(part if "-" in part else f"{part}-{part}" for part in listed.strip().split(",")))


def _require_usable(cores: tuple[int, ...]) -> None:
    """Ask the kernel; a thread of its own, since what is asked stays."""
    failures: list[OSError] = []

    def ask() -> None:
        try:
            os.sched_setaffinity(0, cores)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    for error in failures:
        raise PyServeError(Code.INTERNAL, f"Unable to set NUMA thread affinity: {error.strerror}") from error
