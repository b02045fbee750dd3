from __future__ import annotations

import pytest

from jupyter_pyserve.notebook import operations
from tests.unit.notebook.commands.conftest import Typed
from tests.unit.notebook.fake_engine import FakeEngine


@pytest.fixture
def model(engine: FakeEngine) -> FakeEngine:
    for action in ("undeploy", "restart", "scale", "drain", "resume"):
        engine.answer("POST", f"/api/models/add_one/{action}")
    for action in ("restart", "kill", "drain", "resume"):
        engine.answer("POST", f"/api/models/add_one/instances/add_one_0/{action}")
    engine.answer("POST", "/v2/repository/models/add_one/unload")
    engine.answer("POST", "/api/models/add_one/rollback", json={"from": "1", "version": "3"})
    return engine


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("scale add_one 3", "add_one: READY"),
        ("scale add_one 0", "undeploy takes it out of service"),
        ("scale add_one many", "'many' is not a whole number from 0 up"),
        ("rollback add_one", "version 3 is what version 1 was"),
        ("rollback add_one 1", "version 3 is what version 1 was"),
        ("restart add_one add_one_0 --force", "add_one: READY"),
        ("drain add_one", "refuses new requests; %pyserve resume add_one ends that"),
        ("drain add_one add_one_0", "gets no more work; %pyserve resume add_one add_one_0 ends that"),
        ("resume add_one", "'add_one' takes requests again"),
        ("resume add_one add_one_0", "add_one_0 takes requests again"),
        ("kill add_one", "add_one_0 was killed and starts again"),
        ("unload add_one", "%pyserve load add_one brings it back"),
        ("undeploy add_one --delete", "and its directory deleted"),
    ],
)
def test_what_is_said(model: FakeEngine, typed: Typed, line: str, shown: str) -> None:
    assert shown in typed(line)


def test_an_interrupted_restart_says_what_does_not_wait(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(operations, "restart", interrupted)
    assert "%pyserve restart m m_1 --force does not wait for that" in typed("restart m m_1")
