from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from pyserve_stub.host import OfflineHost, set_host
from pyserve_stub.metric_family import Metric, MetricFamily
from pyserve_stub.vocabulary import CAST_FAILED, MetricKind, TritonModelException

from tests.unit.stub.hosting import in_charge

INST = "Failed to process the request for model 'offline', message: "


@pytest.fixture(autouse=True)
def host() -> Iterator[OfflineHost]:
    with in_charge(OfflineHost()) as fresh:
        yield fresh


def family(kind: str = "COUNTER") -> MetricFamily:
    return MetricFamily("a", "d", MetricKind[kind])


@pytest.mark.parametrize("args", [("a",), ("a", "b", 0), ("a", "b", None), (1, "b", MetricKind.GAUGE)])
def test_a_family_needs_a_kind(args: Any) -> None:
    with pytest.raises(
        TypeError, match=r"MetricFamily\(name: str, description: str, kind: c_python_backend_utils\.Met"
    ):
        MetricFamily(*args)


def test_a_name_that_is_refused() -> None:
    with pytest.raises(TritonModelException) as caught:
        MetricFamily(name="", description="d", kind=MetricFamily.COUNTER)
    assert str(caught.value) == f"Error when creating MetricFamily: {INST}Invalid metric name"


@pytest.mark.parametrize(
    ("kind", "args", "error", "text"),
    [
        ("COUNTER", (3,), TritonModelException, "Failed to create metric. Labels must be a dictionary."),
        ("COUNTER", ({}, [1.0]), TritonModelException, "Failed to create metric. Unexpected buckets found."),
        ("GAUGE", ({}, [1.0]), TritonModelException, "Failed to create metric. Unexpected buckets found."),
        ("COUNTER", ({}, (1.0,)), TritonModelException, "Failed to create metric. Buckets must be a list."),
        ("HISTOGRAM", ({}, (1.0,)), TritonModelException, "Failed to create metric. Buckets must be a list."),
        ("HISTOGRAM", ({},), TritonModelException, "Failed to create metric. Missing required buckets."),
        ("HISTOGRAM", ({}, ["a"]), RuntimeError, CAST_FAILED),
        (
            "COUNTER",
            ({"a": 3},),
            TritonModelException,
            f"Error when creating Metric: {INST}attempt to access JSON non-string as string",
        ),
        (
            "HISTOGRAM",
            ({}, [2, 1]),
            TritonModelException,
            f"Error when creating Metric: {INST}Bucket Boundaries must be strictly sorted",
        ),
    ],
)
def test_metrics_that_are_refused(kind: str, args: Any, error: Any, text: str) -> None:
    with pytest.raises(error) as caught:
        family(kind).Metric(*args)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("kind", "name", "args", "text"),
    [
        (
            "COUNTER",
            "increment",
            (-1,),
            "Failed to increment metric value: INSTTRITONSERVER_METRIC_KIND_COUNTER can only be incremented"
            " monotonically by non-negative values.",
        ),
        (
            "COUNTER",
            "set",
            (1,),
            "Failed to set metric value: INSTTRITONSERVER_METRIC_KIND_COUNTER does not support Set",
        ),
        (
            "GAUGE",
            "observe",
            (1,),
            "Failed to observe metric value: INSTTRITONSERVER_METRIC_KIND_GAUGE does not support Observe",
        ),
        (
            "HISTOGRAM",
            "value",
            (),
            "Failed to get metric value: INSTTRITONSERVER_METRIC_KIND_HISTOGRAM does not support Value",
        ),
    ],
)
def test_operations_that_are_refused(kind: str, name: str, args: Any, text: str) -> None:
    owner = family(kind)
    metric = owner.Metric(buckets=[1.0]) if kind == "HISTOGRAM" else owner.Metric()
    with pytest.raises(TritonModelException) as caught:
        getattr(metric, name)(*args)
    assert str(caught.value) == text.replace("INST", INST)


@pytest.mark.parametrize("name", ["increment", "set", "observe"])
@pytest.mark.parametrize(("args", "kwargs"), [(("a",), {}), ((None,), {}), ((), {"value": 1}), ((), {})])
def test_operations_take_one_number(name: str, args: Any, kwargs: Any) -> None:
    owner = family()
    with pytest.raises(TypeError) as caught:
        getattr(owner.Metric(), name)(*args, **kwargs)
    assert str(caught.value).startswith(
        f"{name}(): incompatible function arguments. The following argument types are supported:\n"
        "    1. (self: c_python_backend_utils.Metric, arg0: float) -> None\n\nInvoked with: <c_python_backend_utils.Met"
    )


def test_operations() -> None:
    counter, gauge = family(), MetricFamily("b", "d", MetricFamily.GAUGE)
    one = counter.Metric(labels={"x": "y"})
    one.increment(2)
    one.increment(0.5)
    assert counter.Metric({"x": "y"}).value() == 2.5
    two = gauge.Metric()
    two.set(True)
    two.increment(-3)
    assert two.value() == -2
    histogram = MetricFamily("c", "d", MetricFamily.HISTOGRAM)
    histogram.Metric({}, [1, 2]).observe(3)


def test_a_metric_does_not_outlive_its_family() -> None:
    owner = family()
    metric = owner.Metric()
    del owner
    gc.collect()
    with pytest.raises(TritonModelException, match=r"^Failed to get metric value: .*'MetricFamily' has been deleted\."):
        metric.value()


def test_a_deleted_metric_keeps_its_value() -> None:
    owner = family()
    owner.Metric().increment(4)
    gc.collect()
    assert owner.Metric().value() == 4


def test_a_metric_is_made_by_its_family() -> None:
    with pytest.raises(TypeError, match=r"^c_python_backend_utils\.Metric: No constructor defined!$"):
        Metric()


def test_a_family_of_another_host_leaves_this_one_alone(host: OfflineHost) -> None:
    owner = family()
    set_host(OfflineHost())
    other = family()
    metric = other.Metric()
    del owner
    gc.collect()
    metric.increment(1)
    assert metric.value() == 1
