from __future__ import annotations

from typing import Any

import pytest

import jupyter_pyserve as pyserve
from jupyter_pyserve.errors import PyServeError
from tests.unit.notebook.fake_engine import MODEL, FakeEngine

NAME = "add_one"


@pytest.fixture
def model(engine: FakeEngine) -> FakeEngine:
    for action in ("undeploy", "restart", "scale", "drain", "resume"):
        engine.answer("POST", f"/api/models/{NAME}/{action}")
    for action in ("restart", "kill", "drain", "resume"):
        engine.answer("POST", f"/api/models/{NAME}/instances/add_one_0/{action}")
    for verb in ("load", "unload"):
        engine.answer("POST", f"/v2/repository/models/{NAME}/{verb}")
    engine.answer("POST", f"/api/models/{NAME}/rollback", json={"from": "1", "version": "3"})
    return engine


def told(engine: FakeEngine) -> tuple[str, Any]:
    """The last request that was not one for the status."""
    last = next(item for item in reversed(engine.requests) if item.path != "/api/status")
    return last.path, last.json


def test_what_is_there_afterwards_is_answered(model: FakeEngine) -> None:
    assert pyserve.scale(NAME, 3).name == NAME
    assert told(model) == (f"/api/models/{NAME}/scale", {"instances": 3})
    assert pyserve.restart(NAME, force=True).state == "READY"
    assert told(model) == (f"/api/models/{NAME}/restart", {"force": True})
    assert pyserve.restart(NAME, "add_one_0").state == "READY"
    assert told(model) == (f"/api/models/{NAME}/instances/add_one_0/restart", {})
    assert pyserve.load(NAME).state == "READY"
    assert told(model)[0].endswith("/load")


def test_in_and_out_of_service(model: FakeEngine) -> None:
    pyserve.undeploy(NAME, delete=True)
    assert told(model) == (f"/api/models/{NAME}/undeploy", {"delete": True})
    pyserve.unload(NAME)
    assert told(model)[0].endswith("/unload")
    assert pyserve.drain(NAME).name == NAME
    assert told(model)[0] == f"/api/models/{NAME}/drain"
    assert pyserve.resume(NAME, "add_one_0").name == NAME
    assert told(model)[0] == f"/api/models/{NAME}/instances/add_one_0/resume"


def test_going_back(model: FakeEngine) -> None:
    assert pyserve.rollback(NAME).note == "version 3 is what version 1 was"
    assert told(model)[1] == {}
    pyserve.rollback(NAME, "1")
    assert told(model)[1] == {"version": 1}
    with pytest.raises(PyServeError, match="'x' is not the number of a version"):
        pyserve.rollback(NAME, "x")


def test_the_only_instance_need_not_be_named(model: FakeEngine) -> None:
    pyserve.kill(NAME)
    assert told(model)[0] == f"/api/models/{NAME}/instances/add_one_0/kill"
    two = [{"name": "add_one_0"}, {"name": "add_one_1"}]
    model.models = [{**MODEL, "instances": two}]
    with pytest.raises(PyServeError, match=r"say which instance .*add_one_0, add_one_1"):
        pyserve.kill(NAME)


def test_nobody_scales_to_nothing(model: FakeEngine) -> None:
    with pytest.raises(PyServeError, match="undeploy takes it out of service"):
        pyserve.scale(NAME, 0)
    assert model.requests == []
