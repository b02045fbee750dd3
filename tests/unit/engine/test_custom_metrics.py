from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from pyserve_stub.metrics import COUNTER, DELETED, GAUGE, HISTOGRAM
from pyserve_stub.wire import frames

from jupyter_pyserve.engine.custom_metrics import CustomMetrics
from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.telemetry.exposition import Family, Kind, render

BUILT_IN = [Family("nv_count", Kind.COUNTER, "built in"), Family("nv_summary", Kind.SUMMARY, "built in")]


class Bench:
    """The metrics, and the stubs that use them."""

    def __init__(self) -> None:
        self.metrics = CustomMetrics(BUILT_IN)
        self.services = StubServices()
        self.metrics.serve(self.services)

    def stub(self, name: str = "m_0") -> Stub:
        return Stub(self.services, name)

    def text(self, *families: Family) -> str:
        """What a scrape would find, beside families of the server's."""
        named = {family.name: family for family in families}
        self.metrics.add_to(named)
        return render(named.values())


class Stub:
    """Asks, and gets answers at once."""

    def __init__(self, services: StubServices, name: str) -> None:
        self._services = services
        self._instance = cast(Any, self)
        self.name = name
        self._reply: dict[str, Any] = {}

    def asks(self, op: str, **arguments: Any) -> dict[str, Any]:
        self._reply = {}
        self._services.call(StubCall(self._instance, {"id": 1, "op": op, **arguments}, self._sent))
        return self._reply

    def family(self, name: str = "c", kind: int = COUNTER, description: str = "d") -> int:
        return int(self.asks("open_metric_family", name=name, description=description, kind=kind)["handle"])

    def metric(self, family: int, labels: dict[str, str] | None = None, buckets: Sequence[float] | None = None) -> int:
        return int(self.asks("open_metric", handle=family, labels=labels or {}, buckets=buckets)["handle"])

    def apply(self, metric: int, operation: str, value: float = 0) -> dict[str, Any]:
        return self.asks("metric", handle=metric, operation=operation, value=value)

    def ends(self) -> None:
        self._services.ended(self._instance)

    def _sent(self, data: bytes, fds: Sequence[int]) -> None:
        self._reply = frames.decode_cold(data)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_instances_share_a_series(bench: Bench) -> None:
    stubs = [bench.stub(f"m_{number}") for number in range(3)]
    metrics = [stub.metric(stub.family("shared"), {"who": "all"}) for stub in stubs]
    for number, (stub, metric) in enumerate(zip(stubs, metrics)):
        stub.apply(metric, "increment", number + 1)
    assert [stub.apply(metric, "value")["value"] for stub, metric in zip(stubs, metrics)] == [6, 6, 6]
    assert bench.text() == '# HELP shared d\n# TYPE shared counter\nshared{who="all"} 6\n'


def test_a_family_shows_once_it_has_a_metric(bench: Bench) -> None:
    stub = bench.stub()
    family = stub.family("g", GAUGE)
    assert bench.text() == ""
    stub.metric(family)
    assert bench.text() == "# HELP g d\n# TYPE g gauge\ng 0\n"


def test_a_series_lives_as_long_as_its_family(bench: Bench) -> None:
    stub = bench.stub()
    family = stub.family()
    stub.asks("close_metric", handle=stub.metric(family))
    assert "c 0" in bench.text()
    stub.asks("close_metric_family", handle=family)
    assert bench.text() == ""


def test_what_a_stub_holds_goes_with_it(bench: Bench) -> None:
    dying, other = bench.stub("m_0"), bench.stub("m_1")
    dying.apply(dying.metric(dying.family("shared")), "increment", 2)
    dying.metric(dying.family("own"))
    other.metric(other.family("shared"))
    dying.ends()
    assert bench.text() == "# HELP shared d\n# TYPE shared counter\nshared 2\n"
    other.ends()
    other.ends()
    assert bench.text() == ""


def test_a_histogram(bench: Bench) -> None:
    stub = bench.stub()
    metric = stub.metric(stub.family("h", HISTOGRAM), {"a": "b"}, [0.1, 1.0, 2.5])
    for value in (0.05, 1.5, 2.5, 6.0):
        stub.apply(metric, "observe", value)
    assert bench.text().splitlines()[2:] == [
        'h_count{a="b"} 4',
        'h_sum{a="b"} 10.05',
        'h_bucket{a="b",le="0.1"} 1',
        'h_bucket{a="b",le="1"} 1',
        'h_bucket{a="b",le="2.5"} 3',
        'h_bucket{a="b",le="+Inf"} 4',
    ]


def test_a_name_of_the_servers_is_shared_with_it(bench: Bench) -> None:
    stub = bench.stub()
    family = stub.family("nv_count", COUNTER, "another text")
    stub.apply(stub.metric(family, {"model": "m"}), "increment", 100)
    stub.apply(stub.metric(family, {"who": "me"}), "increment", 5)
    built_in = Family("nv_count", Kind.COUNTER, "built in", {'{model="m"}': 7})
    assert bench.text(built_in) == (
        '# HELP nv_count built in\n# TYPE nv_count counter\nnv_count{model="m"} 107\nnv_count{who="me"} 5\n'
    )


@pytest.mark.parametrize(("name", "kind"), [("nv_count", GAUGE), ("nv_summary", COUNTER), ("c", GAUGE)])
def test_a_name_has_one_kind(bench: Bench, name: str, kind: int) -> None:
    stub = bench.stub()
    stub.family("c")
    reply = stub.asks("open_metric_family", name=name, description="d", kind=kind)
    assert (reply["ok"], reply["error"]) == (False, "Family name already exists with different type")


def test_rules_are_refused_with_their_text(bench: Bench) -> None:
    stub = bench.stub()
    metric = stub.metric(stub.family())
    reply = stub.apply(metric, "increment", -1)
    assert reply["error"] == (
        "TRITONSERVER_METRIC_KIND_COUNTER can only be incremented monotonically by non-negative values."
    )
    assert stub.apply(metric, "value")["value"] == 0


def test_nobody_touches_what_another_stub_holds(bench: Bench) -> None:
    owner, other = bench.stub("m_0"), bench.stub("m_1")
    family = owner.family()
    metric = owner.metric(family)
    for reply in (
        other.apply(metric, "increment", 1),
        other.asks("close_metric", handle=metric),
        other.asks("close_metric_family", handle=family),
        other.asks("open_metric", handle=family, labels={}, buckets=None),
    ):
        assert reply["error"] == DELETED
    assert owner.apply(metric, "value")["value"] == 0


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("open_metric_family", {"name": "n", "description": "d", "kind": 7}),
        ("open_metric_family", {"name": "n", "description": "d"}),
        ("open_metric", {"handle": "x", "labels": {}, "buckets": None}),
        ("metric", {"handle": [1], "operation": "increment", "value": 1}),
    ],
)
def test_what_no_honest_stub_asks_breaks_the_protocol(bench: Bench, op: str, arguments: dict[str, Any]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        bench.stub().asks(op, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels": ["a"], "buckets": None},
        {"labels": {}, "buckets": ["much"]},
        {"labels": {}, "buckets": 3},
    ],
)
def test_nor_does_it_ask_for_such_a_series(bench: Bench, arguments: dict[str, Any]) -> None:
    stub = bench.stub()
    family = stub.family("h", HISTOGRAM)
    with pytest.raises((ValueError, TypeError)):
        stub.asks("open_metric", handle=family, **arguments)


def test_nor_is_there_such_an_operation(bench: Bench) -> None:
    stub = bench.stub()
    metric = stub.metric(stub.family())
    with pytest.raises(LookupError):
        stub.apply(metric, "forget")
