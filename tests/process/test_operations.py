"""What a person does to a model that serves: drained, resumed, restarted, killed, looked into, scaled, rolled back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import Answer, command, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until

CONSTANT = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        tensor = pb_utils.Tensor("OUTPUT0", np.array([{value}], np.float32))
        return [pb_utils.InferenceResponse([tensor]) for _ in requests]
"""
CONFIG = """
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] } ]
"""


def act(engine: Engine, path: str, body: Any = b"") -> Answer:
    return engine.http.post(f"/api/models/{path}", body)


def deployed(engine: Engine, name: str, value: float, config: str = CONFIG) -> None:
    assert engine.deploy(name, CONSTANT.format(value=value), config)[-1]["event"] == "ready"


def constant(engine: Engine, name: str) -> float:
    answer = engine.infer(name, {"INPUT0": np.zeros(1, np.float32)})
    assert answer.status == 200, answer
    return float(np.frombuffer(answer.body[-4:], np.float32)[0])


def test_a_drained_model_finishes_what_it_has(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    assert act(engine, f"{puppet}/drain").json() == {}
    row = engine.model(puppet)
    assert (row["draining"], row["admission"]) == (True, "DRAINING")
    refused = engine.infer(puppet, command("echo"))
    assert refused.status == 503
    assert refused.error == f"model '{puppet}' is being drained and takes no new requests"
    assert not engine.ready(puppet)
    gate.open()
    said(held.result())
    wait_until(lambda: engine.model(puppet)["admission"] == "DRAINED", "everything is finished")
    assert act(engine, f"{puppet}/drain").json() == {}
    assert act(engine, f"{puppet}/resume").json() == {}
    assert engine.model(puppet)["admission"] == "OPEN"
    assert engine.ready(puppet)
    said(engine.infer(puppet, command("echo")))


def test_a_drained_instance_gets_nothing_more(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    first, second = engine.instances(model)
    assert act(engine, f"{model}/instances/{first['name']}/drain").status == 200
    assert {said(engine.infer(model, command("pid"))) for _ in range(6)} == {second["pid"]}
    row = engine.instances(model)[0]
    assert (row["draining"], row["admission"]) == (True, "DRAINED")
    assert engine.ready(model)
    assert act(engine, f"{model}/instances/{second['name']}/drain").status == 200
    assert not engine.ready(model)
    waiting = engine.infer_later(model, command("pid"))
    wait_until(lambda: engine.model(model)["queue_depth"] == 1, "it waits")
    assert act(engine, f"{model}/instances/{first['id']}/resume").status == 200
    assert said(waiting.result()) == first["pid"]


def test_one_instance_is_restarted(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    before = engine.pids(model)
    [name, _] = [row["name"] for row in engine.instances(model)]
    gate = engine.gate()
    held = [engine.infer_later(model, command("hold", gate=str(gate))) for _ in range(2)]
    wait_until(lambda: engine.model(model)["in_flight"] == 2, "both are busy")
    assert act(engine, f"{model}/instances/{name}/restart").status == 200
    after = engine.pids(model)
    assert after[0] != before[0]
    assert after[1] == before[1]
    gate.open()
    assert {said(item.result()) for item in held} == set(before), "no request failed"
    assert act(engine, f"{model}/instances/{name}/restart", {"force": True}).status == 200
    wait_until(lambda: engine.pids(model)[0] not in (before[0], after[0]), "it is another process")


def test_an_instance_is_killed(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    [row, other] = engine.instances(model)
    assert act(engine, f"{model}/instances/{row['name']}/drain").status == 200
    assert act(engine, f"{model}/instances/{row['name']}/kill").status == 200

    def again() -> bool:
        found = engine.instances(model)[0]
        return bool(found["state"] == "READY" and found["pid"] != row["pid"])

    wait_until(again, "it is started again")
    found = engine.instances(model)[0]
    assert "was ended by signal 9" in found["last_exit"]
    assert found["restarts"] == row["restarts"] + 1
    assert found["draining"], "it still gets nothing"
    assert engine.instances(model)[1]["pid"] == other["pid"]


def test_the_stacks_of_a_busy_instance(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)), id="who-waits")
    gate.wait_until_entered()
    [row] = engine.instances(puppet)
    for _ in range(2):
        told = act(engine, f"{puppet}/instances/{row['name']}/stack").json()
        assert told["stack"].count("(most recent call first)") >= 1
        assert "model.py" in told["stack"]
        assert " in enter" in told["stack"]
        assert told["request"] == "who-waits"
        assert told["since_s"] > 0
    gate.open()
    said(held.result())
    told = act(engine, f"{puppet}/instances/{row['name']}/stack").json()
    assert (told["request"], told["since_s"]) == ("", None)
    assert engine.pids(puppet) == [row["pid"]]


def test_the_stacks_of_one_that_holds_the_interpreter_in_c(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold_the_interpreter", gate=str(gate)), id="c")
    gate.wait_until_entered()
    gate.open()
    [row] = engine.instances(puppet)

    def stack() -> str:
        return str(act(engine, f"{puppet}/instances/{row['name']}/stack").json()["stack"])

    wait_until(lambda: " in hold_the_interpreter" in (found := stack()) and " in enter" not in found, "it is in C")
    assert held.result().status == 200, "a signal ends a sleep of the C library"


def test_a_stopped_process_shows_nothing(engine: Engine, puppet: str) -> None:
    held = engine.infer_later(puppet, command("stop_self"))
    wait_until(lambda: engine.model(puppet)["in_flight"] == 1, "it is executing")
    [row] = engine.instances(puppet)
    wait_until(lambda: machine.state(row["pid"]) == "T", "it is stopped")
    answer = act(engine, f"{puppet}/instances/{row['name']}/stack")
    assert answer.status == 503
    assert "does not show its stacks" in answer.error
    assert act(engine, f"{puppet}/instances/{row['name']}/kill").status == 200
    assert held.result().status == 500


def test_scaling(engine: Engine, puppet: str) -> None:
    assert act(engine, f"{puppet}/scale", {"instances": 3}).json() == {}
    assert len(engine.instances(puppet)) == 3
    for body in (
        {},
        {"instances": 0},
        {"instances": "x"},
        {"instances": True},
        {"instances": 1.5},
        {"instances": "9" * 5000},
    ):
        assert "'instances' must be a whole number above 0" in act(engine, f"{puppet}/scale", body).error


def test_rolling_back(engine: Engine) -> None:
    for value in (1, 2, 3):
        deployed(engine, "rolled", value, CONFIG + f"# {value}\n")
    assert [item["version"] for item in engine.model("rolled")["deploys"]] == ["1", "2", "3"]
    assert constant(engine, "rolled") == 3
    assert act(engine, "rolled/rollback").json() == {"from": "2", "version": "4"}
    assert constant(engine, "rolled") == 2
    assert (engine.repository / "rolled" / "config.pbtxt").read_text() == CONFIG + "# 2\n"
    assert act(engine, "rolled/rollback", {"version": "1"}).json() == {"from": "1", "version": "5"}
    assert constant(engine, "rolled") == 1
    for version in (9, "x", -1, True):
        assert act(engine, "rolled/rollback", {"version": version}).status == 400
    engine.unload("rolled")
    engine.load("rolled")
    assert [item["version"] for item in engine.model("rolled")["deploys"]] == ["1", "2", "3", "4", "5"]
    assert act(engine, "rolled/undeploy", {"delete": True}).status == 200


def test_there_is_nothing_to_go_back_to(engine: Engine, puppet: str) -> None:
    assert act(engine, f"{puppet}/rollback").error == f"model '{puppet}' has no deploy to go back to"


@pytest.mark.parametrize("action", ["restart", "drain", "resume", "kill", "stack"])
def test_what_is_not_there(action: str, engine: Engine, puppet: str) -> None:
    answer = act(engine, f"{puppet}/instances/nobody/{action}")
    assert answer.status == 404
    assert answer.error == f"model '{puppet}' has no instance 'nobody' (there are: {puppet}_0_0)"
    assert act(engine, f"nowhere/instances/x/{action}").status == 404
    assert engine.http.get(f"/api/models/{puppet}/instances/{puppet}_0_0/{action}").status == 405


def test_why_a_load_failed_is_shown(engine: Engine) -> None:
    deployed(engine, "failing", 1)
    events = engine.deploy("failing", "this is no Python", CONFIG)
    assert events[-1]["event"] == "error"
    assert "load failed for model 'failing'" in engine.model("failing")["loading_error"]
    assert constant(engine, "failing") == 1
    deployed(engine, "failing", 2)
    assert engine.model("failing")["loading_error"] is None
    assert act(engine, "failing/undeploy", {"delete": True}).status == 200
    assert json.dumps(engine.models())
