"""What is measured, a module for each room of the house. A case starts what it needs and returns samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.metrics import Sample
from benchmarks.servers import Pyserve, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What every case is given. `servers` are in the order in which a round asks them: Triton, if wanted, then ours."""

    servers: Sequence[Server]
    ours: Pyserve
    models: Path
    scratch: Path
    rounds: int
    seconds: float


class Case(Protocol):
    """Yields (server's name, sample) pairs, one for each server and round, alternating."""

    def __call__(self, bench: Bench) -> Iterator[tuple[str, Sample]]: ...
