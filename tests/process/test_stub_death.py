"""A stub dies: its own requests fail with Triton's error, everybody else's go on, and it comes back."""

from __future__ import annotations

import shutil
import signal

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.repository import set_mode
from tests.process.waiting import wait_until

X = {"X": np.ones(3, np.float32)}


def unhealthy(instance: str) -> str:
    return f"Stub process '{instance}' is not healthy."


def restarts(engine: Engine, model: str) -> list[int]:
    return [item["restarts"] for item in engine.instances(model)]


def test_killed_while_idle(engine: Engine, puppet: str) -> None:
    [pid] = engine.pids(puppet)
    machine.kill(pid)
    assert said(engine.infer(puppet, command("pid"))) != pid
    assert restarts(engine, puppet) == [1]
    assert engine.ready(puppet)
    assert engine.index(puppet)["state"] == "READY"


def test_killed_while_executing_fails_what_it_executed_and_nothing_else(engine: Engine, puppet: str) -> None:
    gate = engine.gate()
    held = engine.infer_later(puppet, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    queued = [engine.infer_later(puppet, command("echo", value=number)) for number in range(8)]
    wait_until(lambda: engine.model(puppet)["versions"][0]["outstanding"] == 9, "all requests have arrived")
    [pid] = engine.pids(puppet)
    machine.kill(pid)
    failed = held.result()
    assert (failed.status, failed.error) == (500, unhealthy(f"{puppet}_0_0"))
    assert [said(answer.result()) for answer in queued] == list(range(8))
    assert engine.pids(puppet) != [pid]


def test_readiness_tells_the_truth_until_the_replacement_is_there(fresh_engine: Engine) -> None:
    engine = fresh_engine
    model = loaded(engine, "fickle")
    gate = engine.gate()
    set_mode(engine.repository / model, f"initialize block {gate}")
    [pid] = engine.pids(model)
    machine.kill(pid)
    gate.wait_until_entered()  # the replacement is not ready for as long as we like
    assert not engine.ready(model)
    assert not engine.ready()
    assert engine.http.get("/v2/health/live").status == 200
    waiting = engine.infer_later(model, X)
    set_mode(engine.repository / model, "fine")
    gate.open()
    assert outputs(waiting.result())["Y"].tolist() == [2, 2, 2]
    assert engine.ready(model)
    assert engine.ready()


def test_the_other_instance_serves_meanwhile(engine: Engine) -> None:
    model = loaded(engine, "fickle", instances=2)
    gate = engine.gate()
    set_mode(engine.repository / model, f"initialize block {gate}")
    dying, _ = engine.pids(model)
    machine.kill(dying)
    gate.wait_until_entered()
    assert engine.ready(model)
    for _ in range(4):
        assert outputs(engine.infer(model, X))["Y"].tolist() == [2, 2, 2]
    set_mode(engine.repository / model, "fine")
    gate.open()
    wait_until(lambda: all(item["state"] == "READY" for item in engine.instances(model)), "both are back")
    assert restarts(engine, model) == [1, 0]


@pytest.mark.parametrize(
    "deed", [command("exit"), command("crash"), command("die", number=signal.SIGKILL), command("die", number=11)]
)
def test_a_model_that_ends_its_process(engine: Engine, puppet: str, deed: dict[str, np.ndarray]) -> None:
    failed = engine.infer(puppet, deed)
    assert (failed.status, failed.error) == (500, unhealthy(f"{puppet}_0_0"))
    assert said(engine.infer(puppet, command("echo", value=1))) == 1
    assert restarts(engine, puppet) == [1]


def test_what_a_crash_printed_is_in_the_log(engine: Engine, puppet: str) -> None:
    engine.infer(puppet, command("crash"))
    wait_until(
        lambda: any("Segmentation fault" in record["text"] for record in engine.logs(puppet)),
        lambda: f"the fault handler's lines are there: {engine.logs(puppet)}",
    )


def test_a_crash_loop_makes_the_model_unavailable_with_its_last_words(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    set_mode(engine.repository / model, "initialize raise")
    machine.kill(engine.pids(model)[0])
    row = wait_until(lambda: (row := engine.index(model))["state"] == "UNAVAILABLE" and row, "it is given up")
    assert "refused to initialize" in row["reason"]
    assert not engine.ready(model)
    answer = engine.infer(model, X)
    assert answer.status in (400, 404, 503)
    assert not [pid for pid in engine.stubs() if model in machine.title(pid)]


def test_a_loop_of_sudden_deaths_ends_too(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    set_mode(engine.repository / model, "initialize exit")
    machine.kill(engine.pids(model)[0])
    row = wait_until(lambda: (row := engine.index(model))["state"] == "UNAVAILABLE" and row, "it is given up")
    assert "leaving at initialize" in row["reason"]


def test_a_given_up_model_is_loaded_again_on_request(engine: Engine) -> None:
    model = loaded(engine, "fickle")
    set_mode(engine.repository / model, "import exit")
    machine.kill(engine.pids(model)[0])
    wait_until(lambda: engine.index(model)["state"] == "UNAVAILABLE", "it is given up")
    set_mode(engine.repository / model, "fine")
    engine.load(model)
    assert outputs(engine.infer(model, X))["Y"].tolist() == [2, 2, 2]
    assert engine.ready(model)


def test_one_given_up_version_is_loaded_again_beside_another(engine: Engine) -> None:
    model = loaded(engine, "fickle", instances=2, extra="version_policy { all { } }")
    folder = engine.repository / model
    shutil.copytree(folder / "1", folder / "2")
    engine.load(model)
    of_second = [item["pid"] for item in engine.instances(model) if item["version"] == "2"]
    set_mode(folder, "initialize exit")
    for pid in of_second:
        machine.kill(pid)

    def second() -> str:
        return next(str(row["state"]) for row in engine.model(model)["versions"] if row["version"] == "2")

    wait_until(lambda: second() == "UNAVAILABLE", "the second version is given up")
    assert engine.http.get(f"/v2/models/{model}/versions/1/ready").status == 200
    assert engine.http.get(f"/v2/models/{model}/versions/2/ready").status == 400
    wait_until(lambda: not any(f"{model}/2/" in machine.title(pid) for pid in engine.stubs()), "nothing is left of it")
    set_mode(folder, "fine")
    engine.load(model)
    assert second() == "READY"
    assert engine.ready(model)
    assert outputs(engine.infer(f"{model}/versions/2", X))["Y"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("stage", ["import", "initialize"])
@pytest.mark.parametrize("deed", ["exit", "raise"])
def test_a_stub_that_ends_while_it_loads(engine: Engine, stage: str, deed: str) -> None:
    model = loaded(engine, "fickle")
    engine.unload(model)
    set_mode(engine.repository / model, f"{stage} {deed}")
    answer = engine.http.post(f"/v2/repository/models/{model}/load")
    assert answer.status == 400
    expected = unhealthy(f"{model}_0_0") if deed == "exit" else f"RuntimeError: refused to {stage}"
    assert expected in answer.error
    assert engine.index(model)["state"] == "UNAVAILABLE"
    assert expected in engine.index(model)["reason"]


def test_a_frozen_stub_is_killed_and_replaced_on_request(engine: Engine) -> None:
    model = loaded(engine, "puppet", instances=2)
    frozen = engine.infer_later(model, command("stop_self"))
    stopped = wait_until(
        lambda: [
            item for item in engine.instances(model) if item["busy_since_s"] and machine.state(item["pid"]) == "T"
        ],
        "one is stopped while it is busy",
    )
    for number in range(4):
        assert said(engine.infer(model, command("echo", value=number))) == number
    assert engine.http.post(f"/api/models/{model}/restart", {"force": True}).status == 200
    assert frozen.result().error == unhealthy(stopped[0]["name"])
    wait_until(lambda: machine.is_gone(stopped[0]["pid"]), "it is gone")
    wait_until(lambda: engine.ready(model), "it serves again")
