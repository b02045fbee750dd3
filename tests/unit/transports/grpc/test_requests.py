"""Requests as messages, read for a model that answers when told."""

from __future__ import annotations

from typing import Any, cast

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.grpc.requests import Requests
from tests.unit.transports.grpc.asking import asking
from tests.unit.transports.http.fakes import FakeServable, FakeService


def test_a_server_that_stops_takes_no_more() -> None:
    requests = Requests(cast(Any, FakeService(FakeServable())))
    assert requests.read(asking(), lambda servable: None).nbytes == 8
    requests.stop()
    with pytest.raises(PyServeError, match="has stopped accepting new inference requests") as caught:
        requests.read(asking(), lambda servable: None)
    assert caught.value.code is Code.UNAVAILABLE
