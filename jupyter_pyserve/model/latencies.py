"""How latencies are spread: quantiles over the last minute, and a histogram of the time to the first response.

Kept only where metrics are asked to show it. Time is an argument.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Collection, Sequence

#: What `Latencies` keeps a window of.
REQUEST, QUEUE, COMPUTE_INPUT, COMPUTE_INFER, COMPUTE_OUTPUT, CACHE_HIT, CACHE_MISS = range(7)

#: The metric whose buckets a model's configuration may choose.
FIRST_RESPONSE = "nv_inference_first_response_histogram_ms"

_SLICES = 5
_SLICE_MS = 12_000
#: Values are told apart by so many digits, so that a slice holds some thousands of them however many come.
_DIGITS = 3


class Window:
    """Whole numbers of the last minute, and how many there ever were. Old ones go a fifth of the minute at a time."""

    __slots__ = ("_begun_ms", "_slices", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self._slices: deque[dict[int, int]] = deque(maxlen=_SLICES)
        self._begun_ms = 0

    def add(self, value: int, now_ms: int) -> None:
        """One more."""
        self._turn(now_ms)
        self.count += 1
        self.total += value
        newest, rounded = self._slices[-1], _rounded(value)
        newest[rounded] = newest.get(rounded, 0) + 1

    def quantiles(self, wanted: Sequence[float], now_ms: int) -> list[float]:
        """The smallest value that so much of the window does not exceed, for each; not a number when it is empty."""
        self._turn(now_ms)
        merged: dict[int, int] = {}
        for part in self._slices:
            for value, count in part.items():
                merged[value] = merged.get(value, 0) + count
        values = sorted(merged)
        ranks, passed = [], 0
        for value in values:
            passed += merged[value]
            ranks.append(passed)
        return [values[bisect.bisect_left(ranks, quantile * passed)] if values else float("nan") for quantile in wanted]

    def _turn(self, now_ms: int) -> None:
        if not self._slices or now_ms - self._begun_ms >= _SLICES * _SLICE_MS:
            self._slices.clear()
            self._slices.append({})
            self._begun_ms = now_ms
        while now_ms - self._begun_ms >= _SLICE_MS:
            self._slices.append({})
            self._begun_ms += _SLICE_MS


class Histogram:
    """Counts by bound; the last one is for what exceeds them all."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value


class Latencies:
    """Of one model version; what is not asked for is None. Durations come in nanoseconds, windows hold microseconds."""

    __slots__ = ("first_response_ms", "windows")

    def __init__(self, *, summaries: bool, first_response_bounds_ms: Sequence[float] | None) -> None:
        self.windows = [Window() for _ in range(CACHE_MISS + 1)] if summaries else None
        bounds = first_response_bounds_ms
        self.first_response_ms = Histogram(bounds) if bounds is not None else None

    def record(self, now_ms: int, durations_ns: dict[int, int]) -> None:
        """Durations by what they are of."""
        if self.windows is not None:
            for kind, ns in durations_ns.items():
                self.windows[kind].add(ns // 1000, now_ms)

    def record_first_response(self, ns: int) -> None:
        """The time from a request to its first response, of which whole milliseconds count, as on Triton."""
        if self.first_response_ms is not None:
            self.first_response_ms.add(ns // 1_000_000)


def recent_quantiles_ms(recent_ns: Collection[int]) -> dict[str, float] | None:
    """What half and what 99 in 100 of some durations do not exceed; None when there are none."""
    if not recent_ns:
        return None
    ordered = sorted(recent_ns)
    last = len(ordered) - 1
    return {f"p{percent}": round(ordered[last * percent // 100] / 1e6, 3) for percent in (50, 99)}


def _rounded(value: int) -> int:
    step: int = 10 ** max(0, len(str(value)) - _DIGITS)
    return (value + step // 2) // step * step
