"""Models change under load, and no request fails."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from tests.process import machine
from tests.process.client import outputs
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.repository import config, set_mode
from tests.process.waiting import wait_until

X = {"X": np.ones(3, np.float32)}
ROW = {"X": np.ones((1, 3), np.float32)}


def adding(number: int) -> str:
    """A model that adds a number."""
    return f"""
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", array + {number})]) for array in inputs]
"""


class Load:
    """Clients that ask without a pause; what they got."""

    def __init__(self, engine: Engine, model: str, x: dict[str, Any]) -> None:
        self._engine = engine
        self._model = model
        self._x = x
        self._ends = threading.Event()
        self.answers: Counter[float] = Counter()
        self.failures: list[object] = []

    def over_http(self) -> None:
        while not self._ends.is_set():
            answer = self._engine.infer(self._model, self._x)
            if answer.status == 200:
                self.answers[float(outputs(answer)["Y"].flat[0])] += 1
            else:
                self.failures.append(answer)

    def over_a_lane(self) -> None:
        lane = self._engine.lane()
        x = lane.asarray(self._x["X"])
        try:
            while not self._ends.is_set():
                self.answers[float(lane.infer(self._model, {"X": x})["Y"].flat[0])] += 1
        except (PyServeError, OSError) as error:
            self.failures.append(error)
        lane.close()

    def more(self, count: int = 30) -> None:
        """Wait until so many more requests are answered."""
        before = self.answers.total()
        wait_until(
            lambda: self.failures or self.answers.total() >= before + count,
            lambda: f"{count} more are answered: {self.answers} {self.failures}",
        )

    def stop(self) -> None:
        self._ends.set()


@contextmanager
def load(engine: Engine, model: str, x: dict[str, Any] = X) -> Iterator[Load]:
    running = Load(engine, model, x)
    clients = [engine.later(work) for work in (running.over_http, running.over_a_lane) * 2]
    try:
        running.more()
        yield running
        running.more()
    finally:
        running.stop()
        for client in clients:
            client.result()
    assert running.failures == []


def test_versions_are_deployed(engine: Engine) -> None:
    model = "deployed"
    assert engine.deploy(model, adding(1), config("fickle"))[-1]["event"] == "ready"
    with load(engine, model) as running:
        for number in (2, 3, 4):
            events = engine.deploy(model, adding(number), config("fickle"))
            assert events[-1]["event"] == "ready"
            wait_until(lambda number=number: running.answers[number + 1.0], f"version {number} answers")  # type: ignore[misc]
    assert set(running.answers) == {2.0, 3.0, 4.0, 5.0}
    wait_until(lambda: len(engine.stubs()) == 1, "only the newest is left")
    assert engine.http.post(f"/api/models/{model}/undeploy", {"delete": True}).status == 200
    assert not (engine.repository / model).exists()


def test_an_unchanged_deploy_changes_nothing(engine: Engine) -> None:
    first = engine.deploy("same", adding(1), config("fickle"))
    pids = engine.pids("same")
    second = engine.deploy("same", adding(1), config("fickle"))
    assert (first[-1]["unchanged"], second[-1]["unchanged"]) == (False, True)
    assert engine.pids("same") == pids
    assert engine.http.post("/api/models/same/undeploy", {"delete": True}).status == 200


def test_a_version_that_fails_leaves_the_old_one_serving(engine: Engine) -> None:
    model = "guarded"
    engine.deploy(model, adding(1), config("fickle"))
    before = sorted(str(path) for path in (engine.repository / model).rglob("*"))
    broken = ["def f(:\n", "raise ValueError('no')\n", "class Other: pass\n", "import nowhere_to_be_found\n"]
    with load(engine, model) as running:
        for source in broken:
            assert engine.deploy(model, source, config("fickle"))[-1]["event"] == "error"
        text = "class TritonPythonModel:\n    def initialize(self, args):\n        raise ValueError('no')\n"
        event = engine.deploy(model, text, config("fickle"))[-1]
        assert event["exception"] == "ValueError"
        assert [frame["line"] for frame in event["frames"] if frame["file"] == event["model_file"]] == [3]
        assert engine.deploy(model, adding(2), "max_batch_size: -3")[-1]["event"] == "error"
    assert set(running.answers) == {2.0}
    assert sorted(str(path) for path in (engine.repository / model).rglob("*")) == before
    assert [row["version"] for row in engine.model(model)["versions"]] == ["1"]
    assert len(engine.stubs()) == 1
    assert engine.http.post(f"/api/models/{model}/undeploy", {"delete": True}).status == 200


DYNAMIC = "\nmax_batch_size: 4\ndynamic_batching { max_queue_delay_microseconds: 100 }"


@pytest.mark.parametrize(("extra", "x"), [("", X), (DYNAMIC, ROW)], ids=["default", "dynamic"])
def test_more_and_fewer_instances_under_load(engine: Engine, extra: str, x: dict[str, Any]) -> None:
    text = config("fickle") + extra
    model = loaded(engine, "fickle", extra=extra)
    path = engine.repository / model / "config.pbtxt"
    with load(engine, model, x) as running:
        kept = set(engine.pids(model))
        for count in (3, 1, 2):
            path.write_text(text.replace("count: 1", f"count: {count}"))
            engine.load(model)
            pids = set(engine.pids(model))
            assert (len(pids), kept <= pids) == (count, True)
            assert len(engine.stubs()) == count  # those that went have ended
            running.more()
    assert set(running.answers) == {2.0}


def test_reloaded_and_restarted(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    path = engine.repository / model / "1" / "model.py"
    with load(engine, model) as running:
        for _ in range(3):
            before = engine.pids(model)
            path.write_text(path.read_text() + "\n")
            engine.load(model)
            assert not set(before) & set(engine.pids(model))
            running.more()
        before = engine.pids(model)
        assert engine.http.post(f"/api/models/{model}/restart", {}).status == 200
        assert not set(before) & set(engine.pids(model))
        wait_until(lambda: all(machine.is_gone(pid) for pid in before), "the old instances end")
    assert set(running.answers) == {2.0}


def test_a_reload_that_fails_leaves_the_old_one_serving(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    with load(engine, model) as running:
        for mode in ("import raise", "initialize raise", "initialize exit"):
            set_mode(engine.repository / model, mode)
            answer = engine.http.post(f"/v2/repository/models/{model}/load")
            assert answer.status == 400, answer
            running.more()
        set_mode(engine.repository / model, "fine")
    assert engine.ready(model)


def test_a_restart_that_fails_says_why_and_changes_nothing(engine: Engine) -> None:
    model = loaded(engine, "fickle", instances=2)
    pids = engine.pids(model)
    set_mode(engine.repository / model, "initialize raise")
    answer = engine.http.post(f"/api/models/{model}/restart", {})
    assert "refused to initialize" in answer.error
    assert engine.pids(model) == pids
    assert outputs(engine.infer(model, X))["Y"].tolist() == [2, 2, 2]
    set_mode(engine.repository / model, "fine")


def test_an_instance_dies_while_it_is_being_replaced(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    gate = engine.gate()
    set_mode(engine.repository / model, f"initialize block {gate}")
    restarting = engine.later(engine.http.post, f"/api/models/{model}/restart", {})
    gate.wait_until_entered()
    set_mode(engine.repository / model, "fine")
    [old] = engine.pids(model)
    machine.kill(old)
    wait_until(lambda: engine.ready(model), "the one that died is replaced by itself")
    gate.open()
    assert restarting.result().status == 200
    assert outputs(engine.infer(model, X))["Y"].tolist() == [2, 2, 2]
    wait_until(lambda: len(engine.stubs()) == 1, "there is one in the end")


def test_an_unload_lets_running_requests_finish(engine: Engine) -> None:
    from tests.process.client import command, said

    model = loaded(engine, "puppet")
    gate = engine.gate()
    held = engine.infer_later(model, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    engine.unload(model)
    assert engine.infer(model, command("pid")).status in (400, 404)
    assert engine.index(model)["state"] == "UNLOADING"
    gate.open()
    assert said(held.result()) > 0
    wait_until(lambda: engine.index(model)["state"] == "UNAVAILABLE", "it is unloaded")
    assert engine.index(model)["reason"] == "unloaded"
