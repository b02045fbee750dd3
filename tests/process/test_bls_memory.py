"""Calls between models, when one of the processes dies in the middle; and where their tensors are."""

from __future__ import annotations

import os
import signal
from textwrap import dedent

import numpy as np
import pytest

from tests.process.client import command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine, running_engine
from tests.process.ensembles import member
from tests.process.waiting import wait_until

_HOLD = """
    response = request_to(callee, do="hold", gate=gate).exec()
    result = said(response)
"""
MIB = 1 << 20


@pytest.fixture
def caller(engine: Engine) -> str:
    """A model that runs the code it is sent."""
    return loaded(engine, "scripted")


def kill(engine: Engine, model: str) -> None:
    """End a model's process, and wait until there is another."""
    (pid,) = engine.pids(model)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: engine.pids(model) not in ([], [0], [pid]) and engine.ready(model), "it is started again")


def test_the_callee_dies(engine: Engine, caller: str, puppet: str) -> None:
    gate = engine.gate()
    answer = engine.infer_later(caller, command(dedent(_HOLD), callee=puppet, gate=str(gate)))
    gate.wait_until_entered()
    kill(engine, puppet)
    assert said(answer.result()) == f"INTERNAL: Stub process '{puppet}_0_0' is not healthy."


def test_the_caller_dies(engine: Engine, caller: str, puppet: str) -> None:
    gate, seen = engine.gate(), engine.folder / "seen"
    code = """
        request_to(callee, np.ones(1 << 20, "f4"), do="watch_for_cancel", gate=gate, seen=seen).exec()
    """
    answer = engine.infer_later(caller, command(dedent(code), callee=puppet, gate=str(gate), seen=str(seen)))
    gate.wait_until_entered()
    kill(engine, caller)
    assert answer.result().error == f"Stub process '{caller}_0_0' is not healthy."
    gate.open()
    wait_until(seen.exists, "the callee has seen that nobody waits")
    seen.unlink()
    assert engine.infer(caller, command("result = 1")).status == 200


def test_the_caller_dies_with_answers_in_its_hands(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        kept["response"] = request_to(callee, do="give", count=1000).exec()
        kept["thread"] = iter(())
    """
    assert engine.infer(caller, command(dedent(code), callee=puppet)).status == 200
    assert engine.instances(puppet)[0]["arena_used_bytes"] >= 4000
    kill(engine, caller)
    wait_until(lambda: engine.instances(puppet)[0]["arena_used_bytes"] == 0, "they have been given back")


def test_answers_outlive_the_callee(engine: Engine, caller: str, puppet: str) -> None:
    other = loaded(engine, "puppet")
    code = """
        kept["response"] = request_to(callee, [1, 2, 3], do="plus_one").exec()
        result = array(kept["response"]).tolist()
    """
    assert said(engine.infer(caller, command(dedent(code), callee=puppet))) == [2, 3, 4]
    kill(engine, puppet)
    again = """
        old = pb_utils.Tensor("DATA", array(kept["response"]))
        result = [array(request_to(callee, old, do="plus_one").exec()).tolist() for callee in callees]
        kept.clear()
    """
    answer = engine.infer(caller, command(dedent(again), callees=[puppet, other]))
    assert said(answer) == [[3, 4, 5], [3, 4, 5]]


def test_memory_that_is_kept_by_the_callee(engine: Engine, caller: str, puppet: str) -> None:
    code = """
        result = [said(request_to(callee, [number, 1], do="keep").exec()) for number in range(3)]
    """
    assert said(engine.infer(caller, command(dedent(code), callee=puppet))) == [1, 2, 3]
    assert engine.instances(caller)[0]["arena_used_bytes"] > 0
    kill(engine, caller)
    assert said(engine.infer(puppet, command("count_kept"))) == [1, 2, 3]
    engine.infer(puppet, command("drop"))


def test_inputs_may_be_changed_in_place_and_nobody_else_sees_it(engine: Engine, caller: str) -> None:
    callee = loaded(engine, "scripted")
    change = """
        array = tensor.as_numpy()
        array += 1
        output = array
    """
    code = """
        mine = np.zeros(3, "f4")
        calls = [mine, tensor, pb_utils.Tensor("DATA", tensor.as_numpy())]
        kept = [array(request_to(callee, data, do=change).exec()) for data in calls]
        kept.append(array(request_to(callee, pb_utils.Tensor("DATA", kept[0]), do=change).exec()))
        kept[1] += 10
        result = [mine.tolist(), tensor.as_numpy().tolist(), [item.tolist() for item in kept]]
    """
    answer = engine.infer(caller, command(dedent(code), [0, 0, 0], callee=callee, change=dedent(change)))
    assert said(answer) == [[0] * 3, [0] * 3, [[1] * 3, [11] * 3, [1] * 3, [2] * 3]]


def test_large_tensors_stay_where_they_are(engine: Engine, caller: str, puppet: str) -> None:
    """The callee's answer is read where the callee has put it; neither arena of the engine's grows by it."""
    code = """
        import resource
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        response = request_to(callee, do="give", count=count).exec()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        data = array(response)
        address = data.__array_interface__["data"][0]
        maps = [line.split() for line in open("/proc/self/maps")]
        (where,) = [item for item in maps if int(item[0].split("-")[0], 16) <= address < int(item[0].split("-")[1], 16)]
        result = [where[1], where[-2], faults < 2000, float(data[-1])]
    """
    count = 16 * MIB
    answer = engine.infer(caller, command(dedent(code), callee=puppet, count=count))
    assert said(answer) == ["rw-s", "/memfd:pyserve-responses", True, 0.0]
    assert engine.instances(puppet)[0]["arena_bytes"] >= 4 * count
    assert engine.instances(caller)[0]["arena_bytes"] < 4 * MIB
    assert engine.model(puppet)["versions"][0]["arena_bytes"] < 4 * MIB


def test_the_requests_own_inputs_go_without_a_copy(engine: Engine, caller: str) -> None:
    callee = loaded(engine, "scripted")
    code = """
        result = said(request_to(callee, tensor, do="result = tensor.shape(); output = tensor").exec())
    """
    data = np.arange(4 * MIB, dtype=np.float32)
    answer = engine.infer(caller, command(dedent(code), data, callee=callee))
    assert said(answer) == [4 * MIB]
    for model in (caller, callee):
        assert engine.instances(model)[0]["arena_bytes"] < 4 * MIB


def test_an_arena_that_is_full_is_said() -> None:
    with running_engine("--arena-limit-byte-size", str(8 * MIB)) as small:
        caller, callee = loaded(small, "scripted"), loaded(small, "puppet")
        code = """
            result = said(request_to(callee, np.zeros(16 << 20, "f4"), do="echo").exec())
        """
        text = said(small.infer(caller, command(dedent(code), callee=callee)))
        assert text.startswith("INTERNAL: Failed to increase the shared memory pool size: ")
        assert outputs(small.infer(callee, command("give", count=3)))["RESULT"].shape == (3,)
        assert small.stop() == 0


def test_nothing_is_mapped_for_ever(engine: Engine, puppet: str) -> None:
    """A caller's memory goes with it, although others have had it mapped."""

    def mappings() -> int:
        return sum("pyserve-responses" in line for line in maps_of(engine.pids(puppet)[0]))

    caller = loaded(engine, "scripted")
    code = """
        result = said(request_to(callee, np.zeros(1 << 20, "f4"), do="echo", value=1).exec())
    """
    engine.infer(puppet, command("echo"))
    before = mappings()
    assert said(engine.infer(caller, command(dedent(code), callee=puppet))) == 1
    assert mappings() > before
    engine.unload(caller)
    wait_until(lambda: mappings() == before, "it is unmapped")


def maps_of(pid: int) -> list[str]:
    with open(f"/proc/{pid}/maps") as maps:
        return maps.read().splitlines()


def test_a_lane_ends_whose_memory_a_model_has_passed_on(engine: Engine) -> None:
    gate, one = engine.gate(), np.array([1, 2], np.float32)
    member(engine, "passed_on", f"y = x.as_numpy() + 1\n        if y[0] == 8: open({str(gate)!r}).read()")
    passing = """
        call = pb_utils.InferenceRequest(
            model_name="passed_on", requested_output_names=["Y"], inputs=[pb_utils.Tensor("X", x.as_numpy())])
        y = call.exec().output_tensors()[0].as_numpy().copy()
    """
    member(engine, "passing", dedent(passing).replace("\n", "\n        "))
    executing = engine.infer_later("passed_on", {"X": np.array([7], np.float32)})
    gate.wait_until_entered()
    lane = engine.lane()
    lost = engine.later(lane.infer, "passing", {"X": lane.asarray(one)})
    wait_until(lambda: engine.model("passed_on")["queue_depth"] == 1, "the call is queued")
    lane.close()
    with pytest.raises(OSError):
        lost.result()
    engine.models()  # so the engine has seen that the lane has gone
    gate.open()
    assert outputs(executing.result())["Y"].tolist() == [8]
    for model in ("passing", "passed_on"):
        assert outputs(engine.infer(model, {"X": one}))["Y"].tolist() == [2, 3]
