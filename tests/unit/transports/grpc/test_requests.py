"""Requests as messages, read for a model that answers when told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.telemetry.traces import Front
from jupyter_pyserve.transports.grpc.requests import Requests
from tests.unit.transports.grpc.asking import asking
from tests.unit.transports.http.fakes import FakeServable, FakeService


def test_a_server_that_stops_takes_no_more() -> None:
    requests = Requests(cast(Any, FakeService(FakeServable())))
    assert requests.read(asking(), lambda servable: None).nbytes == 8
    requests.stop()
    with pytest.raises(PyServeError) as caught:
        requests.read(asking(), lambda servable: None)
    assert caught.value.code is Code.UNAVAILABLE
    text = "Server is stopping, scheduler for model has stopped accepting new inference requests"
    assert caught.value.message == text


class Tracer:
    """Notes what it is to watch."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def watch(self, *told: Any) -> str:
        self.told.append(told)
        return "watch"


@pytest.mark.parametrize(
    ("metadata", "carrier"),
    [
        ({}, None),
        ({b"tracestate": b"a=b"}, None),
        ({b"traceparent": b"00-1"}, {"traceparent": "00-1", "tracestate": ""}),
        ({b"traceparent": b"00-1", b"tracestate": b"a=b"}, {"traceparent": "00-1", "tracestate": "a=b"}),
    ],
)
@pytest.mark.parametrize(("began_ns", "received_ns"), [(5, (5, 9)), (0, (9, 9))])
def test_a_traced_call_is_behind_a_watch(
    metadata: dict[bytes, bytes], carrier: dict[str, str] | None, began_ns: int, received_ns: tuple[int, int]
) -> None:
    servable, sink, told = FakeServable(), cast(Any, object()), cast(Any, SimpleNamespace(metadata=metadata))
    ask = Requests(cast(Any, FakeService(servable))).read(asking(), lambda servable: None)
    assert ask.behind_watch(sink, told, began_ns, 9) is sink
    servable.tracer = tracer = cast(Any, Tracer())
    assert ask.behind_watch(sink, told, began_ns, 9) == "watch"  # type: ignore[comparison-overlap]
    assert tracer.told == [(sink, Front.GRPC, received_ns, carrier)]
