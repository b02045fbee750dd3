from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.control import Control, LogFilter
from tests.unit.notebook.fake_engine import MODEL, FakeEngine


@pytest.fixture
def control(engine: FakeEngine) -> Iterator[Control]:
    connection = Connection(Address(runtime_dir=engine.directory))
    yield Control(connection)
    connection.close()


def test_status_of_the_engine_and_of_one_model(control: Control) -> None:
    assert control.status()["engine"]["pid"] == 99
    assert control.model_status("add_one") == MODEL
    with pytest.raises(PyServeError, match="Request for unknown model: 'other' is not found") as caught:
        control.model_status("other")
    assert caught.value.code is Code.NOT_FOUND


def test_deploying_sends_the_source_and_gives_events_to_the_last_one(engine: FakeEngine, control: Control) -> None:
    engine.deployment("m", {"event": "progress", "stage": "write"}, {"event": "ready"}, {"event": "progress"})
    stream = control.deploy("m", "x = 1\n", None, {"cell": "In[3]"})
    assert [event["event"] for event in stream] == ["progress", "ready"]
    sent = engine.last("/api/models/m/deploy").json
    assert sent == {"source": "x = 1\n", "config": None, "origin": {"cell": "In[3]"}}


@pytest.mark.parametrize("line", [b"nonsense\n", b"[1]\n", b"{}\n"])
def test_an_event_that_is_none_is_an_error(engine: FakeEngine, control: Control, line: bytes) -> None:
    engine.answer("POST", "/api/models/m/deploy", lines=[line])
    with pytest.raises(PyServeError, match="not an event"):
        list(control.deploy("m", "", None, {}))


def test_a_stream_that_ends_early_is_an_error(engine: FakeEngine, control: Control) -> None:
    engine.deployment("m", {"event": "progress", "stage": "write"})
    with pytest.raises(PyServeError, match="in the middle of the deployment"):
        list(control.deploy("m", "", None, {}))


def test_names_are_quoted_in_paths(engine: FakeEngine, control: Control) -> None:
    engine.answer("POST", "/api/models/a%2F%C3%A9%3F/undeploy")
    control.undeploy("a/é?", delete=True)
    assert engine.requests[-1].json == {"delete": True}


def test_the_other_calls(engine: FakeEngine, control: Control) -> None:
    for path in ("/v2/repository/models/m/load", "/v2/repository/models/m/unload", "/api/models/m/restart"):
        engine.answer("POST", path)
    control.load("m")
    control.unload("m")
    control.restart("m")
    control.restart("m", force=True)
    assert [request.path.rsplit("/", 1)[-1] for request in engine.requests] == ["load", "unload", "restart", "restart"]
    assert [request.json for request in engine.requests[-2:]] == [{}, {"force": True}]


def test_logs_of_one_model_and_of_all(engine: FakeEngine, control: Control) -> None:
    engine.answer("GET", "/api/models/m/logs?tail=5&instance=m_0", json={"records": [{"text": "a"}]})
    engine.answer("GET", "/api/logs?tail=200", json={"records": []})
    assert control.logs("m", LogFilter(tail=5, instance="m_0")) == [{"text": "a"}]
    assert control.logs() == []
