from __future__ import annotations

from typing import Any

import pytest
from pyserve_stub.metrics import COUNTER, GAUGE, HISTOGRAM, MetricError, MetricRegistry


@pytest.fixture
def registry() -> MetricRegistry:
    return MetricRegistry()


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\n"])
def test_names_are_those_of_prometheus(registry: MetricRegistry, name: str) -> None:
    with pytest.raises(MetricError, match=r"^Invalid metric name$"):
        registry.open_family(name, "d", COUNTER)


def test_a_name_has_one_kind(registry: MetricRegistry) -> None:
    registry.open_family("a:b_1", "first", COUNTER)
    registry.open_family("a:b_1", "second", COUNTER)
    with pytest.raises(MetricError, match=r"^Family name already exists with different type$"):
        registry.open_family("a:b_1", "d", GAUGE)
    assert [family.description for family in registry.families()] == ["first"]


@pytest.mark.parametrize(
    ("labels", "buckets", "text"),
    [
        ({"a": 3}, None, "attempt to access JSON non-string as string"),
        ({"1a": "b"}, None, "Invalid label name"),
        ({"a:b": "b"}, None, "Invalid label name"),
        ({1: "b"}, None, "Invalid label name"),
        ({}, [2.0, 1.0], "Bucket Boundaries must be strictly sorted"),
        ({}, [1.0, 1.0], "Bucket Boundaries must be strictly sorted"),
    ],
)
def test_labels_and_buckets_are_checked(registry: MetricRegistry, labels: Any, buckets: Any, text: str) -> None:
    family = registry.open_family("a", "d", HISTOGRAM)
    with pytest.raises(MetricError) as caught:
        registry.open_series(family, labels, buckets)
    assert str(caught.value) == text


def test_equal_labels_are_one_series(registry: MetricRegistry) -> None:
    families = [registry.open_family("a", "d", COUNTER) for _ in range(2)]
    one = registry.open_series(families[0], {"x": "1", "y": "2"}, None)
    two = registry.open_series(families[1], {"y": "2", "x": "1"}, None)
    other = registry.open_series(families[0], {}, None)
    registry.apply(one, "increment", 2)
    assert registry.apply(two, "value", 0) == 2
    assert registry.apply(other, "value", 0) == 0


@pytest.mark.parametrize(
    ("kind", "name", "allowed"),
    [
        (COUNTER, "COUNTER", {"increment": 2.5, "value": 0.0}),
        (GAUGE, "GAUGE", {"increment": -1.0, "set": 7.0, "value": 0.0}),
        (HISTOGRAM, "HISTOGRAM", {"observe": 3.0}),
    ],
)
def test_each_kind_has_its_operations(
    registry: MetricRegistry, kind: int, name: str, allowed: dict[str, float]
) -> None:
    family = registry.open_family("a", "d", kind)
    for operation in ("increment", "set", "observe", "value"):
        series = registry.open_series(family, {"operation": operation}, [])
        if operation in allowed:
            assert registry.apply(series, operation, allowed[operation]) == allowed[operation]
        else:
            with pytest.raises(MetricError) as caught:
                registry.apply(series, operation, 1)
            assert str(caught.value) == f"TRITONSERVER_METRIC_KIND_{name} does not support {operation.capitalize()}"


def test_a_counter_does_not_go_back(registry: MetricRegistry) -> None:
    series = registry.open_series(registry.open_family("a", "d", COUNTER), {}, None)
    with pytest.raises(MetricError) as caught:
        registry.apply(series, "increment", -1)
    assert str(caught.value) == (
        "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by non-negative values."
    )


def test_a_histogram_counts_into_buckets(registry: MetricRegistry) -> None:
    series = registry.open_series(registry.open_family("a", "d", HISTOGRAM), {}, [1.0, 2.5])
    for value in (0.5, 1.0, 2.0, 9.0):
        registry.apply(series, "observe", value)
    (counted,) = registry.families()[0].series.values()
    assert (counted.bounds, counted.counts, counted.sum) == ((1.0, 2.5), [2, 1, 1], 12.5)


def test_a_family_goes_with_its_last_handle(registry: MetricRegistry) -> None:
    first, second = (registry.open_family("a", "d", GAUGE) for _ in range(2))
    series = registry.open_series(first, {}, None)
    registry.close_family(first)
    registry.close_family(first)
    text = (
        "Invalid metric operation as the corresponding 'MetricFamily' has been deleted. The 'MetricFamily' object"
        " should be deleted AFTER its corresponding 'Metric' objects have been deleted."
    )
    with pytest.raises(MetricError) as caught:
        registry.apply(series, "set", 1)
    assert str(caught.value) == text
    with pytest.raises(MetricError):
        registry.open_series(first, {}, None)
    assert len(registry.families()) == 1
    registry.close_family(second)
    assert registry.families() == []


def test_a_series_stays_when_its_handle_goes(registry: MetricRegistry) -> None:
    family = registry.open_family("a", "d", GAUGE)
    series = registry.open_series(family, {}, None)
    registry.apply(series, "set", 5)
    registry.close_series(series)
    registry.close_series(series)
    assert registry.apply(registry.open_series(family, {}, None), "value", 0) == 5
