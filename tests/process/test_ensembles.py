"""Ensembles of real models: what flows, what fails, and what is left in memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from pyserve_stub.spin import CALLED, OF_STUB

from tests.process.client import connect, outputs
from tests.process.engine import Engine
from tests.process.ensembles import ADD, IN_PLACE, MEMBER, MODEL, SAME, chain, member, step, write_ensemble
from tests.process.gates import Gate
from tests.process.waiting import wait_until

ONE = {"IN": np.array([1.0, 2.0], np.float32)}


def test_tensors_flow_from_member_to_member(engine: Engine) -> None:
    name = chain(engine, "flow", ADD, SAME, IN_PLACE)
    answer = engine.infer(name, ONE)
    assert outputs(answer)["OUT"].tolist() == [102.0, 103.0]
    facts = engine.http.post(f"/v2/models/{name}/infer", request(parameters={"sequence_id": 7}))
    assert facts.json()["parameters"] == {"sequence_id": 7, "sequence_start": False, "sequence_end": False}
    (stats,) = engine.http.get(f"/v2/models/{name}/stats").json()["model_stats"]
    assert (stats["inference_count"], stats["execution_count"], stats["inference_stats"]["success"]["count"]) == (
        2,
        2,
        2,
    )


def test_durations_of_an_ensemble_are_those_of_its_members(engine: Engine) -> None:
    name = chain(engine, "inner", ADD, ADD)
    write_ensemble(engine.repository, "outer", (name, {"IN": "IN"}, {"OUT": "T"}), step("inner_0", "T", "OUT"))
    engine.load("outer")
    for _ in range(3):
        engine.infer("outer", ONE)
    own = engine.inference_stats("outer")
    for duration in ("compute_input", "compute_infer", "compute_output"):
        parts = [engine.inference_stats(f"inner_{index}")[duration]["ns"] for index in range(2)]
        assert own[duration] == {"count": 3, "ns": sum(parts)}
        assert own[duration]["ns"] > 0


def test_members_wait_awake_for_longer_while_they_serve_it(engine: Engine) -> None:
    body = "from pyserve_stub.host import get_host; y = np.array([get_host().session.spinner.patience[0]], np.float32)"
    name = chain(engine, "awake", body)
    seen = [outputs(engine.infer(name, ONE))["OUT"].tolist() for _ in range(2)]
    seen.append(outputs(engine.infer("awake_0", {"X": ONE["IN"]}))["Y"].tolist())  # as its last request left it
    seen.append(outputs(engine.infer("awake_0", {"X": ONE["IN"]}))["Y"].tolist())
    assert seen == [[item.budget_ns] for item in (OF_STUB, CALLED, CALLED, OF_STUB)]


def request(**more: object) -> dict[str, object]:
    return {"inputs": [{"name": "IN", "datatype": "FP32", "shape": [2], "data": [1, 2]}], **more}


def test_a_member_that_writes_into_its_input_harms_nobody(engine: Engine) -> None:
    name = "fan"
    for index, body in enumerate((SAME, IN_PLACE, ADD)):
        member(engine, f"fan_{index}", body)
    write_ensemble(
        engine.repository,
        name,
        step("fan_0", "IN", "MID"),
        step("fan_1", "MID", "WRITTEN"),
        step("fan_2", "MID", "ADDED"),
        outputs="MID WRITTEN ADDED",
    )
    engine.load(name)
    got = outputs(engine.infer(name, ONE))
    assert [got[key].tolist() for key in ("MID", "WRITTEN", "ADDED")] == [[1.0, 2.0], [101.0, 102.0], [2.0, 3.0]]


def test_over_a_lane(engine: Engine) -> None:
    name = chain(engine, "lane", SAME, ADD)
    lane = engine.lane()
    assert lane.infer(name, {"IN": lane.asarray(ONE["IN"])})["OUT"].tolist() == [2.0, 3.0]
    lane.close()


def test_only_the_steps_that_are_needed_run(engine: Engine) -> None:
    member(engine, "needed_0", ADD)
    member(engine, "needed_1", "raise ValueError('not asked for')")
    write_ensemble(engine.repository, "needed", step("needed_0", "IN", "A"), step("needed_1", "IN", "B"), outputs="A B")
    engine.load("needed")
    assert outputs(engine.infer("needed", ONE, outputs=["A"]))["A"].tolist() == [2.0, 3.0]
    assert "not asked for" in engine.infer("needed", ONE, outputs=["B"]).error


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("raise ValueError('no')", 500, "in ensemble '{0}', Failed to process the request(s) for model '{0}_1_0', me"),
        ("return pb_utils.InferenceResponse(error=pb_utils.TritonError('gone', pb_utils.TritonError.NOT_FOUND))", 404,
         "in ensemble '{0}', gone"),
        ("return pb_utils.InferenceResponse([])", 400,
         "in ensemble '{0}', [request id: <id_unknown>] expected 1 inputs but got 0 inputs for model '{0}_2'. "),
    ],
)  # fmt: skip
def test_a_member_fails(engine: Engine, body: str, status: int, error: str) -> None:
    name = chain(engine, f"fails{status}", ADD, body, ADD)
    answer = engine.infer(name, ONE)
    assert answer.status == status
    assert answer.error.startswith(error.format(name))
    assert engine.inference_stats(name)["fail"]["count"] == 2  # so does Triton count
    assert engine.infer(f"{name}_0", {"X": ONE["IN"]}).status == 200


def test_members_come_with_the_ensemble_and_take_it_with_them(engine: Engine) -> None:
    name = chain(engine, "family", ADD, ADD)
    for model in ("family_1", "family_0"):
        engine.unload(model)
    assert not engine.ready(name)
    engine.load(name)
    assert engine.ready("family_0")
    engine.unload("family_1")
    assert engine.infer(name, ONE).error == f"Request for unknown model: '{name}' has no available versions"
    engine.load("family_1")
    assert outputs(engine.infer(name, ONE))["OUT"].tolist() == [3.0, 4.0]


def test_members_that_nobody_else_uses_can_go_with_the_ensemble(engine: Engine) -> None:
    name = chain(engine, "both", ADD, ADD)
    write_ensemble(engine.repository, "other", step("both_0", "IN", "OUT"))
    engine.load("other")
    answer = engine.http.post(f"/v2/repository/models/{name}/unload", {"parameters": {"unload_dependents": True}})
    assert answer.status == 200
    assert [engine.ready(model) for model in (name, "both_0", "both_1", "other")] == [False, True, False, True]


def test_a_member_that_does_not_fit_any_more_takes_the_ensemble_down(engine: Engine) -> None:
    name = chain(engine, "misfit", ADD, ADD)
    other = MEMBER.replace("TYPE_FP32", "TYPE_INT32")
    assert engine.deploy("misfit_1", MODEL.format(body=ADD), other)[-1]["event"] == "ready"
    assert not engine.ready(name)
    assert engine.deploy("misfit_1", MODEL.format(body=ADD), MEMBER)[-1]["event"] == "ready"


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("gone", [0, 1, 2])
def test_requests_on_their_way_keep_the_members_that_they_began_with(engine: Engine, gone: int, nested: bool) -> None:
    gate = engine.gate()
    name = f"kept{gone}{nested}"
    held = f"open({str(gate)!r}, 'rb').read(); {SAME}"
    asked = chain(engine, name, ADD, SAME if nested else held, ADD)
    if nested:
        asked = f"{name}_outer"
        member(engine, f"{name}_before", held)
        inner = (name, {"IN": "T"}, {"OUT": "OUT"})
        write_ensemble(engine.repository, asked, step(f"{name}_before", "IN", "T"), inner)
        engine.load(asked)
    answer = engine.later(engine.infer, asked, ONE)
    gate.wait_until_entered()
    engine.unload(f"{name}_{gone}")
    gate.open()
    assert outputs(answer.result())["OUT"].tolist() == [3.0, 4.0]
    wait_until(lambda: not engine.instances(f"{name}_{gone}"), "the member is gone")


def test_ensembles_that_are_made_of_each_other_are_refused(engine: Engine) -> None:
    member(engine, "round", ADD)
    for name, other in (("round_a", "round_b"), ("round_b", "round_a")):
        write_ensemble(engine.repository, name, (other, {"IN": "IN"}, {"OUT": "T"}), step("round", "T", "OUT"))
    loads = [engine.later(engine.http.post, f"/v2/repository/models/round_{item}/load") for item in "ab"]
    for load in loads:
        assert "circular dependency between ensembles: round_" in load.result().error


def test_a_member_dies_in_the_middle(engine: Engine) -> None:
    name = chain(engine, "dies", ADD, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    answer = engine.infer(name, ONE)
    assert (answer.status, answer.error) == (500, f"in ensemble '{name}', Stub process 'dies_1_0' is not healthy.")


def test_a_client_that_leaves_cancels_what_the_members_have(engine: Engine) -> None:
    gate = engine.gate()
    name = chain(engine, "leaves", f"open({str(gate)!r}, 'rb').read(); y = x.as_numpy()", ADD)
    with connect(engine.http.address) as connection:
        connection.sendall(engine.http.infer_bytes(name, ONE))
        gate.wait_until_entered()
    wait_until(lambda: engine.inference_stats(name)["fail"]["count"] == 1, "the ensemble's request is cancelled")
    gate.open()
    wait_until(lambda: engine.instances(f"{name}_0")[0]["state"] == "READY", "the member is done")
    assert engine.inference_stats(f"{name}_1")["success"]["count"] == 0


OPTIONAL = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.renamed(x) for x in request.inputs()]) for request in requests]

    def renamed(self, x):
        return pb_utils.Tensor({"A": "Y", "B": "Z"}[x.name()], x.as_numpy())
"""


def pair(kind: str, first: str, second: str, *, optional: bool = True) -> str:
    more = "optional: true" if optional else ""
    return " ".join(f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: [ -1 ] {more} }}' for name in (first, second))


@pytest.mark.parametrize("given", ["A", "B", "AB"])
def test_what_is_left_out_is_left_out_all_the_way(engine: Engine, given: str) -> None:
    tensors = pair("input", "A", "B") + pair("output", "Y", "Z", optional=False)
    engine.deploy("optional", OPTIONAL, f'backend: "python" {tensors}')
    write_ensemble(
        engine.repository,
        f"connected{given}",
        ("optional", {"A": "A", "B": "B"}, {"Y": "S", "Z": "T"}),
        ("optional", {"A": "S", "B": "T"}, {"Y": "Y", "Z": "Z"}),
    )
    config = engine.repository / f"connected{given}" / "config.pbtxt"
    steps = config.read_text().partition("ensemble_scheduling")[2]
    config.write_text(f'platform: "ensemble" {tensors} ensemble_scheduling {steps}')
    engine.load(f"connected{given}")
    answer = outputs(engine.infer(f"connected{given}", dict.fromkeys(given, ONE["IN"])))
    assert sorted(answer) == [{"A": "Y", "B": "Z"}[name] for name in given]


def test_an_ensemble_has_shapes_of_its_own(engine: Engine) -> None:
    member(engine, "flat", ADD)
    write_ensemble(engine.repository, "square", step("flat", "IN", "OUT"))
    config = engine.repository / "square" / "config.pbtxt"
    text = config.read_text()
    for name, dims in (("IN", "2, 3"), ("OUT", "3, 2")):
        text = text.replace(
            f'"{name}" data_type: TYPE_FP32 dims: [ -1 ]',
            f'"{name}" data_type: TYPE_FP32 dims: [ {dims} ] reshape {{ shape: [ 6 ] }}',
        )
    config.write_text(text)
    engine.load("square")
    answer = outputs(engine.infer("square", {"IN": np.zeros((2, 3), np.float32)}))["OUT"]
    assert answer.tolist() == [[1, 1]] * 3
    assert engine.infer("square", {"IN": np.zeros(6, np.float32)}).status == 400


PRODUCER = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            x = request.inputs()[0].as_numpy()
            with open("{log}", "wb", buffering=0) as log:
                for number in range(int(x[0])):
                    log.write(b"x")
                    tensor = pb_utils.Tensor("Y", x + number)
                    request.get_response_sender().send(pb_utils.InferenceResponse([tensor]))
            request.get_response_sender().send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
HELD_UP = """if not hasattr(self, "gone"):
            self.gone = open("{gate}", "rb").read()
        y = x.as_numpy()"""


def limited(engine: Engine, name: str, limit: int) -> tuple[Gate, Path]:
    """A loaded ensemble of a member that answers as fast as it can, and one that is held up."""
    gate, log = engine.gate(), engine.folder / f"{name}.log"
    config = MEMBER + " model_transaction_policy { decoupled: true }"
    engine.deploy(f"{name}_fast", PRODUCER.format(log=log), config)
    member(engine, f"{name}_slow", HELD_UP.format(gate=gate))
    write_ensemble(engine.repository, name, step(f"{name}_fast", "IN", "MID"), step(f"{name}_slow", "MID", "OUT"))
    path = engine.repository / name / "config.pbtxt"
    path.write_text(
        path.read_text().replace("ensemble_scheduling {", f"ensemble_scheduling {{ max_inflight_requests: {limit}")
    )
    engine.load(name)
    return gate, log


def offered(engine: Engine, log: Path, count: int) -> None:
    """The member has made as many answers, and makes no more."""
    wait_until(lambda: len(log.read_text()) == count, "the member has answered")
    for _ in range(3):
        chain(engine, f"meanwhile{len(engine.models())}", ADD)  # which takes far longer than all answers together
    assert len(log.read_text()) == count


def test_a_fast_member_waits_for_those_behind_it(engine: Engine) -> None:
    gate, log = limited(engine, "limited", 3)
    lane = engine.lane()
    stream = lane.stream("limited", {"IN": np.array([50.0], np.float32)})
    answers = engine.later(lambda: [float(item["OUT"][0]) for item in stream])
    gate.wait_until_entered()
    offered(engine, log, 4)
    gate.close()
    assert answers.result() == [50 + number for number in range(50)]
    lane.close()


def test_a_member_that_waits_goes_on_when_nobody_wants_its_answers(engine: Engine) -> None:
    gate, log = limited(engine, "left", 2)
    lane = engine.lane()
    stream = lane.stream("left", {"IN": np.array([50.0], np.float32)})
    gate.wait_until_entered()
    offered(engine, log, 3)
    stream.close()
    wait_until(lambda: len(log.read_text()) == 50, "the member has ended")
    gate.close()
    wait_until(lambda: not engine.model("left_fast")["versions"][0]["outstanding"], "nothing is left")
    lane.close()


def test_steps_wait_for_each_other_across_requests(engine: Engine) -> None:
    gate, _ = limited(engine, "across", 1)
    lane = engine.lane()
    streams = [lane.stream("across", {"IN": np.array([2.0], np.float32)}) for _ in range(8)]
    answers = [engine.later(lambda stream=stream: [float(item["OUT"][0]) for item in stream]) for stream in streams]
    gate.open()
    assert [item.result() for item in answers] == [[2, 3]] * 8
    lane.close()


def test_what_a_member_has_answered_outlives_its_process(engine: Engine) -> None:
    gate = engine.gate()
    member(engine, "mortal_0", ADD)
    member(engine, "mortal_1", f"y = x.as_numpy() + 1\n        if y[0] == 3: open({str(gate)!r}).read()")
    write_ensemble(engine.repository, "mortal", step("mortal_0", "IN", "A"), step("mortal_1", "A", "B"), outputs="A B")
    engine.load("mortal")
    (before,), (later,) = engine.pids("mortal_0"), engine.pids("mortal_1")
    executing = engine.infer_later("mortal", ONE)
    gate.wait_until_entered()
    queued = engine.infer_later("mortal", {"IN": ONE["IN"] + 1})
    wait_until(lambda: engine.inference_stats("mortal_0")["success"]["count"] == 2, "the second member has both")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: before not in engine.pids("mortal_0") and engine.ready("mortal_0"), "it runs again")
    gate.open()
    for answer, first in ((executing.result(), 1), (queued.result(), 2)):
        got = outputs(answer)
        assert [got[key].tolist() for key in ("A", "B")] == [[first + 1, first + 2], [first + 2, first + 3]]
    assert engine.pids("mortal_1") == [later]
