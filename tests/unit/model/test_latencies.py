from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_pyserve.model.latencies import CACHE_MISS, QUEUE, REQUEST, Histogram, Latencies, Window

SLICE_MS = 12_000


def window(*values: int, at_ms: int = 0) -> Window:
    made = Window()
    for value in values:
        made.add(value, at_ms)
    return made


@pytest.mark.parametrize(
    ("values", "quantile", "expected"),
    [
        ((7,), 0.5, 7),
        ((1, 2, 3, 4), 0.5, 2),
        ((1, 2, 3, 4), 0.51, 3),
        ((1, 2, 3, 4), 0.0, 1),
        ((4, 3, 2, 1), 1.0, 4),
        ((5,) * 99 + (900,), 0.99, 5),
        ((5,) * 99 + (900,), 0.999, 900),
    ],
)
def test_quantiles(values: tuple[int, ...], quantile: float, expected: int) -> None:
    assert window(*values).quantiles([quantile], 0) == [expected]


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_near_a_value_that_was_there(values: list[int], quantile: float) -> None:
    (found,) = window(*values).quantiles([quantile], 0)
    exact = sorted(values)[max(0, math.ceil(quantile * len(values)) - 1)]
    assert abs(found - exact) <= 0.005 * exact


def test_old_values_go_in_slices() -> None:
    made = window(1, at_ms=0)
    made.add(2, SLICE_MS)
    assert made.quantiles([0.0, 1.0], 5 * SLICE_MS - 1) == [1, 2]
    assert made.quantiles([0.0, 1.0], 5 * SLICE_MS) == [2, 2]
    (empty,) = made.quantiles([0.5], 6 * SLICE_MS)
    assert math.isnan(empty)
    assert (made.count, made.total) == (2, 3)


def test_after_a_long_silence_a_window_begins_anew() -> None:
    made = window(1, at_ms=0)
    made.add(9, 1_700_000_000_000)
    assert made.quantiles([0.0], 1_700_000_000_000) == [9]


def test_a_window_stays_small() -> None:
    made = window(*range(0, 10_000_000, 997))
    assert sum(map(len, made._slices)) < 5000


def test_bounds_belong_to_the_bucket_below() -> None:
    histogram = Histogram((100, 500))
    for value in (1, 100, 100.5, 501):
        histogram.add(value)
    assert (histogram.counts, histogram.total) == ([2, 1, 1], 702.5)


def test_durations_are_kept_in_microseconds() -> None:
    made = Latencies(summaries=True, first_response_bounds_ms=(100,))
    made.record(0, {REQUEST: 5_999, QUEUE: 1_000})
    made.record_first_response(2_500_000)
    assert made.windows is not None
    assert [(item.count, item.total) for item in made.windows[: QUEUE + 1]] == [(1, 5), (1, 1)]
    assert made.windows[CACHE_MISS].count == 0
    assert made.first_response_ms is not None
    assert (made.first_response_ms.counts, made.first_response_ms.total) == ([1, 0], 2)


def test_what_is_not_asked_for_is_not_kept() -> None:
    made = Latencies(summaries=False, first_response_bounds_ms=None)
    made.record(0, {REQUEST: 5_999})
    made.record_first_response(1)
    assert (made.windows, made.first_response_ms) == (None, None)
