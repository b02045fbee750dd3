"""Metric families and their text, in Prometheus' exposition format 0.0.4 as Triton writes it.

Pure: numbers in, text out. Knows no metric by name.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


class Kind(enum.Enum):
    """What a family's numbers are. Families stand in this order."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


_ORDER = {kind: index for index, kind in enumerate(Kind)}
_QUOTED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ONE_LINE = str.maketrans({"\\": r"\\", "\n": r"\n"})


@dataclass(slots=True)
class Family:
    """All series of one name. A sample's key is what follows the name on its line: a suffix, and labels in braces."""

    name: str
    kind: Kind
    help: str
    samples: dict[str, float] = field(default_factory=dict)

    def add_histogram(
        self, pairs: Mapping[str, str], bounds: Sequence[float], counts: Sequence[int], total: float
    ) -> None:
        """The samples of one histogram; the last of its counts is of what exceeds all bounds."""
        key = labels(pairs)
        self.add(f"_count{key}", sum(counts))
        self.add(f"_sum{key}", total)
        for bound, passed in zip((*bounds, math.inf), itertools.accumulate(counts)):
            self.add(f"_bucket{labels(pairs, ('le', number(bound)))}", passed)

    def add_summary(
        self, pairs: Mapping[str, str], count: int, total: float, quantiles: Iterable[tuple[float, float]]
    ) -> None:
        """The samples of one summary."""
        key = labels(pairs)
        self.add(f"_count{key}", count)
        self.add(f"_sum{key}", total)
        for quantile, value in quantiles:
            self.add(labels(pairs, ("quantile", number(quantile))), value)

    def add(self, key: str, value: float) -> None:
        """A sample; it adds to one that is there, so that whoever uses the same name and labels shares it."""
        samples = self.samples
        samples[key] = samples[key] + value if key in samples else value


def labels(pairs: Mapping[str, str], *last: tuple[str, str]) -> str:
    """Labels as a sample's key has them: by name, but for `last`; nothing when there is none."""
    text = ",".join([f'{name}="{value.translate(_QUOTED)}"' for name, value in (*sorted(pairs.items()), *last)])
    return f"{{{text}}}" if text else ""


def number(value: float) -> str:
    """A number as Triton prints it: sixteen digits, and none that says nothing."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value):
        return f"{value:.16g}"
    return "Nan" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def render(families: Iterable[Family]) -> str:
    """The whole text. A family without a sample is not mentioned."""
    return "".join(render_parts(families))


def render_parts(families: Iterable[Family]) -> Iterator[str]:
    """The same, family by family."""
    for family in sorted(families, key=lambda item: _ORDER[item.kind]):
        if family.samples:
            name = family.name
            lines = [f"# HELP {name} {family.help.translate(_ONE_LINE)}"] if family.help else []
            lines.append(f"# TYPE {name} {family.kind.value}")
            lines += [f"{name}{key} {number(value)}" for key, value in family.samples.items()]
            yield "\n".join([*lines, ""])
