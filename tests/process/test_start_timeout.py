"""A model that never gets through its start: the load fails, says where it was stuck, and no process is left."""

from __future__ import annotations

import re

import pytest

from tests.process import machine
from tests.process.engine import running_engine
from tests.process.repository import add_model, set_mode


@pytest.mark.parametrize(("stage", "doing"), [("import", "importing"), ("initialize", "initializing")])
def test_a_start_that_never_ends(stage: str, doing: str) -> None:
    with running_engine("--backend-config=python,stub-timeout-seconds=3") as engine:
        gate = engine.gate()
        model = add_model(engine.repository, "fickle", "stuck")
        set_mode(model, f"{stage} block {gate}")
        answer = engine.http.post("/v2/repository/models/stuck/load")
        assert answer.status == 400
        assert f"Internal: Stub process 'stuck_0_0' did not finish {doing} its model within 3 seconds" in answer.error
        assert engine.stubs() == []
        shown = [record["text"] for record in engine.logs("stuck")]
        assert any(re.search(r"model\.py\", line \d+ in obey", text) for text in shown), shown
        seen = engine.tree()
        assert engine.stop() == 0
        assert all(machine.is_gone(pid) for pid in seen)


def test_settings_are_judged_when_a_model_is_loaded() -> None:
    with running_engine("--backend-config=python,shm-default-byte-size=100") as engine:
        add_model(engine.repository, "fickle")
        text = "Invalid argument: shm-default-byte-size can't be smaller than 4 MiBs;\n"
        assert engine.http.post("/v2/repository/models/fickle/load").error.endswith(text)
