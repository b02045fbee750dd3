"""What a benchmark found, as values and as a view: a table, and latency over throughput. Nothing here measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, columns, element, table
from jupyter_pyserve.notebook.plots import image, latency_throughput

PERCENTILES = ("p50", "p90", "p99")
_HEADER = ("requests at once", "per second", *PERCENTILES, "requests", "failures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One concurrency: so many requests were under way at any moment."""

    concurrency: int
    requests: int
    failures: int
    duration_s: float
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    #: Text of the last failure.
    error: str = ""

    @property
    def throughput(self) -> float:
        """Requests per second that were answered."""
        return self.requests / self.duration_s if self.duration_s > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "throughput": self.throughput}


def level_of(concurrency: int, latencies_s: Sequence[float], duration_s: float, errors: Sequence[str]) -> Level:
    """The level that some answered requests, and the errors of the others, make."""
    ordered = sorted(latencies_s)
    return Level(
        concurrency=concurrency,
        requests=len(ordered),
        failures=len(errors),
        duration_s=duration_s,
        p50_ms=_percentile_ms(ordered, 50),
        p90_ms=_percentile_ms(ordered, 90),
        p99_ms=_percentile_ms(ordered, 99),
        error=errors[-1] if errors else "",
    )


class BenchResult(View):
    """A model under load, by concurrency. `levels` are the values; `rows()` is what a data frame takes."""

    def __init__(self, name: str, levels: Sequence[Level], *, via: str, note: str = "") -> None:
        self.name = name
        self.levels = tuple(levels)
        self.via = via
        self.note = note

    @property
    def best(self) -> Level | None:
        """The level that had most answers per second."""
        return max(self.levels, key=lambda level: level.throughput, default=None)

    def rows(self) -> list[dict[str, Any]]:
        return [level.to_dict() for level in self.levels]

    def html(self) -> Markup:
        if not self.levels:
            return element("div", element("b", self.name), f" {self._title()}")
        plot = image(self.svg(), f"Latency of '{self.name}' over requests per second", width=480)
        notes = [element("div", error) for error in self._errors()]
        return element(
            "div",
            element("div", element("b", self.name), f" {self._title()}"),
            table(_HEADER, self._rows()),
            *notes,
            plot,
        )

    def plain(self) -> str:
        parts = [f"{self.name}: {self._title()}"]
        if self.levels:
            parts.append(columns([name.upper() for name in _HEADER], self._rows()))
        return "\n\n".join([*parts, *self._errors()])

    def svg(self) -> Markup:
        """Latency over throughput; the numbers at the points are requests at once."""
        answered = [level for level in self.levels if level.p50_ms is not None]
        curves = {
            name: [(level.throughput, getattr(level, f"{name}_ms")) for level in answered]
            for name in PERCENTILES
            if answered
        }
        return latency_throughput(curves, [level.concurrency for level in answered])

    def _title(self) -> str:
        best = self.best
        found = (
            f"{figures.number(best.throughput)} requests per second at most"
            if best is not None
            else "nothing was measured"
        )
        return f"over {self.via}: {found}{f' ({self.note})' if self.note else ''}"

    def _errors(self) -> list[str]:
        return [
            f"{level.failures} failed of those with {level.concurrency} at once: {level.error}"
            for level in self.levels
            if level.failures
        ]

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (
                level.concurrency,
                figures.number(level.throughput),
                *(figures.shown(getattr(level, f"{name}_ms"), figures.milliseconds) for name in PERCENTILES),
                figures.number(level.requests),
                figures.number(level.failures),
            )
            for level in self.levels
        ]


def _percentile_ms(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest value that so many of a hundred do not exceed."""
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)] * 1e3, 4)
