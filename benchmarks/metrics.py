"""What is measured and when it is good enough: metrics, samples, medians, ratios. Pure values; runs nothing."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Better(Enum):
    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`ratio` limits ours divided by Triton's; `limit` limits ours alone. Neither means: for information."""

    name: str
    unit: str
    better: Better = Better.LOWER
    ratio: float | None = None
    limit: float | None = None

    @property
    def target(self) -> str:
        sign = "≤" if self.better is Better.LOWER else "≥"
        if self.ratio is not None:
            return f"{sign} {self.ratio:g} × Triton's"
        return "" if self.limit is None else f"{sign} {self.limit:g} {self.unit}"


Sample = Mapping[Metric, float]

OURS = "pyserve"
TRITON = "triton"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric's outcome. `met` is None where there is nothing to meet, or nothing to compare with."""

    metric: Metric
    ours: float | None
    triton: float | None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.triton if self.ours is not None and self.triton else None

    @property
    def met(self) -> bool | None:
        value, limit = (
            (self.ratio, self.metric.ratio) if self.metric.ratio is not None else (self.ours, self.metric.limit)
        )
        if value is None or limit is None:
            return None
        return value <= limit if self.metric.better is Better.LOWER else value >= limit


@dataclass(slots=True)
class Samples:
    """Samples by metric and server, in the order of the rounds."""

    values: dict[Metric, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, server: str, sample: Sample) -> None:
        for metric, value in sample.items():
            self.values.setdefault(metric, defaultdict(list))[server].append(value)

    def rows(self) -> list[Row]:
        return [
            Row(metric=metric, ours=_median(by_server.get(OURS)), triton=_median(by_server.get(TRITON)))
            for metric, by_server in self.values.items()
        ]


def _median(values: list[float] | None) -> float | None:
    return statistics.median(values) if values else None
