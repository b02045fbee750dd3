"""Models that define `is_ready` are asked whenever somebody asks for readiness, and answer while they execute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.process.client import outputs
from tests.process.engine import Engine
from tests.process.repository import add_model

X = {"X": np.ones(1, np.float32)}


def say(model: Path, opinion: str) -> None:
    temporary = model / "opinion.new"
    temporary.write_text(opinion)
    temporary.rename(model / "opinion")


@pytest.fixture
def doubtful(engine: Engine) -> Path:
    """The directory of a loaded model that is of the opinion it is ready."""
    name = f"doubtful{len(list(engine.repository.iterdir()))}"
    path = add_model(engine.repository, "doubtful", name, instances=2)
    say(path, "yes")
    engine.load(name)
    return path


def test_the_model_has_a_say(engine: Engine, doubtful: Path) -> None:
    name = doubtful.name
    assert engine.ready(name)
    for opinion, reason in (
        ("no", f"Model '{name}_0_0' is not ready (user-defined check failed)."),
        ("text", "is_ready() must return a boolean value"),
        ("raise", "ZeroDivisionError: division by zero"),
    ):
        say(doubtful, opinion)
        answer = engine.http.get(f"/v2/models/{name}/ready")
        assert (answer.status, answer.error) == (400, "Model version not ready")
        assert engine.http.get(f"/v2/models/{name}/versions/1/ready").status == 400
        assert any(reason in record["text"] for record in engine.logs(name)), opinion
    assert outputs(engine.infer(name, X))["Y"][0] == 1
    say(doubtful, "yes")
    assert engine.ready(name)
    assert engine.http.get(f"/v2/models/{name}/versions/7/ready").status == 404
    engine.unload(name)
    assert engine.http.get(f"/v2/models/{name}/ready").status == 400


def test_the_server_is_as_ready_as_its_models(fresh_engine: Engine) -> None:
    path = add_model(fresh_engine.repository, "doubtful")
    say(path, "yes")
    fresh_engine.load("doubtful")
    assert fresh_engine.ready()
    say(path, "no")
    assert not fresh_engine.ready()


def test_a_reason_is_logged_once(engine: Engine, doubtful: Path) -> None:
    say(doubtful, "no")
    for _ in range(3):
        assert not engine.ready(doubtful.name)
    said = [record for record in engine.logs(doubtful.name) if "user-defined check failed" in record["text"]]
    assert len(said) == 2, "once for each of two instances"


def test_it_is_asked_while_it_executes(engine: Engine, doubtful: Path) -> None:
    gate = engine.gate()
    (doubtful / "gate").symlink_to(str(gate))
    held = engine.infer_later(doubtful.name, X)
    gate.wait_until_entered()
    assert engine.ready(doubtful.name)
    say(doubtful, "no")
    assert not engine.ready(doubtful.name)
    gate.open()
    assert held.result().status == 200


def test_a_model_that_has_no_opinion_is_not_asked(engine: Engine, puppet: str) -> None:
    assert engine.ready(puppet)
    assert engine.http.get(f"/v2/models/{puppet}/versions/7/ready").status == 404
