"""Custom metrics of models: families, their series, and what may be done to each kind.

Pure bookkeeping with the texts of Triton's core; whoever holds the registry adds the context of the request and decides
where the numbers go.
"""

from __future__ import annotations

import bisect
import itertools
import re
import threading
from typing import Mapping, NamedTuple, Protocol, Sequence, Tuple

COUNTER, GAUGE, HISTOGRAM = 0, 1, 2

_KINDS = ("COUNTER", "GAUGE", "HISTOGRAM")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
_ALLOWED = {"increment": (COUNTER, GAUGE), "set": (GAUGE,), "observe": (HISTOGRAM,), "value": (COUNTER, GAUGE)}
DELETED = (
    "Invalid metric operation as the corresponding 'MetricFamily' has been deleted. The 'MetricFamily' object should be"
    " deleted AFTER its corresponding 'Metric' objects have been deleted."
)

Labels = Tuple[Tuple[str, str], ...]


class MetricError(Exception):
    """What Triton's core refuses; the text is its own."""


class MetricKeeper(Protocol):
    """Who keeps the numbers behind handles: a `MetricRegistry`, or one in another process."""

    def open_family(self, name: str, description: str, kind: int) -> int: ...

    def close_family(self, handle: int) -> None: ...

    def open_series(self, handle: int, labels: Mapping[str, object], buckets: Sequence[float] | None) -> int: ...

    def close_series(self, index: int) -> None: ...

    def apply(self, index: int, operation: str, value: float) -> float: ...


class Family:
    """All series of one name."""

    __slots__ = ("description", "handles", "kind", "name", "series")

    def __init__(self, name: str, description: str, kind: int) -> None:
        self.name = name
        self.description = description
        self.kind = kind
        self.handles = 0
        self.series: dict[Labels, Series] = {}


class Series:
    """One series: a number, or the counts of a histogram."""

    __slots__ = ("bounds", "counts", "sum", "value")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.value = 0.0
        self.bounds = tuple(bounds)
        #: Observations per bucket, not cumulated; the last one is +Inf.
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0


class _Entry(NamedTuple):
    family: int
    series: Series


class MetricRegistry:
    """Families by name; two that agree in name and kind share their series. Safe to use from any thread."""

    def __init__(self, reserved: Mapping[str, int] | None = None) -> None:
        #: Names that the server itself uses, with their kinds.
        self._reserved = reserved or {}
        self._lock = threading.RLock()
        self._next = itertools.count(1)
        self._by_name: dict[str, Family] = {}
        self._families: dict[int, Family] = {}
        self._series: dict[int, _Entry] = {}

    def families(self) -> list[Family]:
        """Every family, in the order of their first registration."""
        with self._lock:
            return list(self._by_name.values())

    def open_family(self, name: str, description: str, kind: int) -> int:
        """A handle for the family of that name, which is made when there is none."""
        if not _NAME.match(name):
            raise MetricError("Invalid metric name")
        with self._lock:
            if self._reserved.get(name, kind) != kind:
                raise MetricError("Family name already exists with different type")
            family = self._by_name.setdefault(name, Family(name, description, kind))
            if family.kind != kind:
                raise MetricError("Family name already exists with different type")
            handle = next(self._next)
            family.handles += 1
            self._families[handle] = family
            return handle

    def close_family(self, handle: int) -> None:
        """Gives a handle back; with the last one the family and its series go."""
        with self._lock:
            family = self._families.pop(handle, None)
            if family is None:
                return
            family.handles -= 1
            if not family.handles:
                del self._by_name[family.name]

    def open_series(self, handle: int, labels: Mapping[str, object], buckets: Sequence[float] | None) -> int:
        """A handle for the series of those labels, which is made when there is none."""
        for name, value in labels.items():
            if not isinstance(value, str):
                raise MetricError("attempt to access JSON non-string as string")
            if not _LABEL.match(str(name)):
                raise MetricError("Invalid label name")
        bounds = buckets or ()
        if any(low >= high for low, high in zip(bounds, bounds[1:])):
            raise MetricError("Bucket Boundaries must be strictly sorted")
        key = tuple(sorted((str(name), str(value)) for name, value in labels.items()))
        with self._lock:
            if handle not in self._families:
                raise MetricError(DELETED)
            series = self._families[handle].series.setdefault(key, Series(bounds))
            index = next(self._next)
            self._series[index] = _Entry(handle, series)
            return index

    def close_series(self, index: int) -> None:
        """Gives a handle back; the series stays for as long as its family."""
        with self._lock:
            self._series.pop(index, None)

    def apply(self, index: int, operation: str, value: float) -> float:
        """Carries out an operation and returns the value after it (a histogram's sum)."""
        with self._lock:
            entry = self._series[index]
            family = self._families.get(entry.family)
            if family is None:
                raise MetricError(DELETED)
            check(family.kind, operation, value)
            return _change(entry.series, operation, value)


def check(kind: int, operation: str, value: float) -> None:
    """Raises `MetricError` for what may not be done to a series of that kind."""
    name = f"TRITONSERVER_METRIC_KIND_{_KINDS[kind]}"
    if kind not in _ALLOWED[operation]:
        raise MetricError(f"{name} does not support {operation.capitalize()}")
    if operation == "increment" and kind == COUNTER and value < 0:
        raise MetricError(f"{name} can only be incremented monotonically by non-negative values.")


def _change(series: Series, operation: str, value: float) -> float:
    if operation == "observe":
        series.counts[bisect.bisect_left(series.bounds, value)] += 1
        series.sum += value
        return series.sum
    if operation == "increment":
        series.value += value
    elif operation == "set":
        series.value = value
    return series.value
