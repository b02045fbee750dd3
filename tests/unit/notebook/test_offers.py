from __future__ import annotations

import pytest

from jupyter_pyserve.notebook import offers
from tests.unit.notebook.fake_engine import MODEL, FakeEngine


def test_what_a_model_has(engine: FakeEngine) -> None:
    deploys = [{"version": version, "time": 0.0, "owner": None} for version in ("1", "2", "3")]
    engine.models = [{**MODEL, "deploys": deploys}]
    assert offers.parts("instance", "add_one", "restart") == ["add_one_0"]
    assert offers.parts("version", "add_one", "infer") == ["1"]
    assert offers.parts("version", "add_one", "rollback") == ["1", "2"]
    assert offers.parts("inputs", "add_one", "infer") == ["INPUT0"]
    assert offers.parts("output", "add_one", "infer") == ["OUTPUT0"]
    assert offers.parts("instances", "add_one", "scale") == ()
    assert offers.parts("instance", "nobody", "restart") == ()


def test_no_engine_is_nothing_to_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_pyserve.notebook import client

    monkeypatch.delenv("PYSERVE_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("PYSERVE_URL", raising=False)
    monkeypatch.setattr(client, "_default", None)
    assert offers.models() == []
    assert offers.recordings() == []
