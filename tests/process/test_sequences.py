"""Sequences end to end: what models are shown, who waits for whom, and what becomes of them when processes end."""

from __future__ import annotations

import json
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.v2.request_options import RequestOptions
from tests.process import machine
from tests.process.client import Answer, connect, outputs
from tests.process.conftest import loaded
from tests.process.engine import Engine
from tests.process.waiting import wait_until

START, END = 1, 2
CONTROLS = """
  control_input [
    { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
    { name: "END" control [ { kind: CONTROL_SEQUENCE_END bool_false_true: [ false, true ] } ] },
    { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY fp32_false_true: [ 0, 1 ] } ] },
    { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: %s } ] }
  ]
"""
NO_START = (
    "inference request for sequence {} to model '{}' must specify the START flag on the first request of the sequence"
)


class Sequences:
    """A loaded model with sequence batching."""

    def __init__(
        self,
        engine: Engine,
        scheduling: str = "direct {}",
        *,
        corrid: str = "TYPE_UINT64",
        idle_us: int = 60_000_000,
        instances: int = 1,
    ) -> None:
        batching = f"{scheduling} max_sequence_idle_microseconds: {idle_us} {CONTROLS % corrid}"
        self.engine = engine
        self.name = loaded(engine, "sequence", instances=instances, extra=f"sequence_batching {{ {batching} }}")

    def send(self, correlation_id: int | str, flags: int = 0, timeout_us: int = 0, **command: Any) -> Answer:
        return self.engine.infer(
            self.name, inputs(**command), correlation_id=correlation_id, flags=flags, timeout_us=timeout_us
        )

    def send_later(self, correlation_id: int | str, flags: int = 0, **command: Any) -> Future[Answer]:
        return self.engine.later(lambda: self.send(correlation_id, flags, **command))

    def arrived(self, count: int) -> None:
        """Wait until so many requests are in the engine."""
        wait_until(lambda: self.outstanding == count, lambda: f"{self.outstanding} of {count} requests have arrived")

    @property
    def outstanding(self) -> int:
        outstanding: int = self.engine.model(self.name)["versions"][0]["outstanding"]
        return outstanding

    def has_answered(self, count: int) -> bool:
        answered: int = self.statistics()["inference_count"]
        return answered >= count

    def has_all_instances(self) -> bool:
        return all(item["state"] in ("READY", "BUSY") for item in self.engine.instances(self.name))

    def statistics(self) -> dict[str, Any]:
        [found] = self.engine.http.get(f"/v2/models/{self.name}/stats").json()["model_stats"]
        statistics: dict[str, Any] = found
        return statistics


def inputs(**command: Any) -> dict[str, Any]:
    return {"COMMAND": np.array([[json.dumps(command).encode()]], object)}


def told(answer: Answer) -> Any:
    return json.loads(outputs(answer)["ANSWER"].ravel()[0])


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error


def shown(number: int | str, flags: int, *, dtype: str = "uint64") -> dict[str, Any]:
    one = [1, 1]
    return {
        "id": number,
        "flags": flags,
        "START": [flags & START, "int32", one],
        "END": [bool(flags & END), "bool", one],
        "READY": [1.0, "float32", one],
        "CORRID": [number, dtype, one],
    }


NULL = shown(0, 0) | {"READY": [0.0, "float32", [1, 1]]}


def test_a_direct_model_finds_its_sequences_by_their_position(engine: Engine) -> None:
    model = Sequences(engine)
    assert told(model.send(5, START, add=1))["batch"] == [shown(5, START)]
    assert told(model.send(6, START, add=10))["batch"] == [NULL, shown(6, START)]
    assert told(model.send(5, add=2))["batch"] == [shown(5, 0)]
    last = told(model.send(6, END, add=20))
    assert (last["total"], last["batch"]) == (30, [NULL, shown(6, END)])
    assert told(model.send(7, START | END))["batch"] == [NULL, shown(7, START | END)]
    assert told(model.send(5, END, add=3))["total"] == 6


def test_sequences_on_a_lane(engine: Engine) -> None:
    model = Sequences(engine)
    lane = engine.lane()

    def send(**controls: Any) -> Any:
        return json.loads(
            lane.infer(model.name, inputs(add=3), RequestOptions(parameters=controls))["ANSWER"].ravel()[0]
        )

    try:
        assert send(sequence_id=5, sequence_start=True)["batch"] == [shown(5, START)]
        last = send(sequence_id=5, sequence_end=True)
        assert (last["total"], last["batch"]) == (6, [shown(5, END)])
        with pytest.raises(PyServeError) as caught:
            send(sequence_id=5)
        assert caught.value.message == NO_START.format(5, model.name)
    finally:
        lane.close()


def test_what_fills_a_slot_is_in_no_count_of_requests(engine: Engine) -> None:
    model = Sequences(engine)
    model.send(5, START)
    model.send(6, START)
    assert model.send(6, fail="on purpose").status == 500
    statistics = model.statistics()
    counts = statistics["inference_stats"]
    assert (statistics["inference_count"], statistics["execution_count"]) == (2, 3)
    assert (counts["success"]["count"], counts["fail"]["count"]) == (2, 1)
    sizes = {row["batch_size"]: row["compute_infer"]["count"] for row in statistics["batch_stats"]}
    assert sizes == {1: 1, 2: 2}


def test_texts_as_ids(engine: Engine) -> None:
    model = Sequences(engine, corrid="TYPE_STRING")
    assert told(model.send("größe", START, add=1))["batch"] == [shown("größe", START, dtype="object")]
    answer = told(model.send("größe", END, add=1))
    assert (answer["total"], answer["batch"]) == (2, [shown("größe", END, dtype="object")])
    expects = f"but model '{model.name}' expects 'BYTES'"
    text = f"[request id: <id_unknown>] sequence batching control 'CORRID' data-type is 'UINT64', {expects}"
    assert refused(model.send(5, START)) == (400, text)


def test_what_belongs_to_no_sequence_is_refused(engine: Engine) -> None:
    model = Sequences(engine)
    text = f"inference request to model '{model.name}' must specify a non-zero or non-empty correlation ID"
    assert refused(model.send(0)) == (400, text)
    assert refused(model.send(5, END)) == (400, NO_START.format(5, model.name))
    assert model.send(5, START | END).status == 200
    assert refused(model.send(5)) == (400, NO_START.format(5, model.name))
    batch = {"COMMAND": np.array([[b"{}"], [b"{}"]], object)}
    text = (
        f"inference request to model '{model.name}' must specify batch-size 1 due to requirements of sequence batcher"
    )
    assert refused(engine.infer(model.name, batch, correlation_id=5, flags=START)) == (400, text)


def test_sequences_wait_for_a_slot_in_their_order(engine: Engine) -> None:
    model = Sequences(engine, "oldest { max_candidate_sequences: 1 }")
    model.send(1, START)
    waiting = []
    for number in (2, 3):
        waiting += [model.send_later(number, START, add=1)]
        model.arrived(len(waiting))
        waiting += [model.send_later(number, END, add=1)]
        model.arrived(len(waiting))
    assert not any(answer.done() for answer in waiting)
    model.send(1, END)
    assert [told(answer.result())["total"] for answer in waiting] == [1, 2, 1, 2]


def test_oldest_executes_sequences_together(engine: Engine) -> None:
    model = Sequences(engine, "oldest { max_candidate_sequences: 4 }")
    gate = engine.gate()
    first = model.send_later(1, START, gate=str(gate))
    gate.wait_until_entered()
    others = []
    for number in (2, 3):
        others += [model.send_later(number, START | END)]
        model.arrived(1 + len(others))
    gate.open()
    assert told(first.result())["batch"] == [shown(1, START)]
    assert [told(answer.result())["batch"] for answer in others] == [[shown(2, 3), shown(3, 3)]] * 2
    model.send(1, END)


def test_an_idle_sequence_makes_room(engine: Engine) -> None:
    model = Sequences(engine, "oldest { max_candidate_sequences: 1 }", idle_us=20_000)
    model.send(1, START)
    assert told(model.send(2, START | END, add=4))["total"] == 4
    assert refused(model.send(1)) == (400, NO_START.format(1, model.name))


def test_a_wait_for_a_slot_can_be_bounded(engine: Engine) -> None:
    model = Sequences(engine, "oldest { max_candidate_sequences: 1 }")
    model.send(1, START)
    late = model.send(2, START, timeout_us=1000)
    assert refused(late) == (503, "timeout of the corresponding sequence has been expired")
    assert refused(model.send(2)) == (400, NO_START.format(2, model.name))
    assert model.statistics()["inference_stats"]["fail"]["count"] == 1
    model.send(1, END)


def test_who_hangs_up_takes_the_rest_of_the_sequence_along(engine: Engine) -> None:
    model = Sequences(engine)
    gate = engine.gate()
    running = model.send_later(1, START, gate=str(gate), add=1)
    gate.wait_until_entered()
    address = engine.http.address
    with connect(address) as gone:
        gone.sendall(engine.http.infer_bytes(model.name, inputs(add=1), correlation_id=1))
        model.arrived(2)
        behind = model.send_later(1, END, add=1)
        model.arrived(3)
    wait_until(behind.done, "the rest is given up while the first still runs")
    assert refused(behind.result()) == (400, "a request of the same sequence was cancelled")
    assert refused(model.send(1)) == (400, NO_START.format(1, model.name))
    gate.open()
    assert told(running.result())["total"] == 1


def test_a_sequence_whose_process_is_killed_is_said_to_be_lost(engine: Engine) -> None:
    model = Sequences(engine)
    model.send(1, START, add=1)
    pid = told(model.send(2, START, add=10))["pid"]
    gate = engine.gate()
    held = model.send_later(1, gate=str(gate))
    gate.wait_until_entered()
    queued = model.send_later(1, END)
    model.arrived(2)
    fresh = model.send_later(3, START | END, add=5)  # it has not begun anywhere
    model.arrived(3)
    machine.kill(pid)
    assert refused(held.result()) == (500, f"Stub process '{model.name}_0_0' is not healthy.")
    lost = "sequence {} of model '%s' was lost when the process of instance '%s_0_0' ended; it has to be begun again"
    lost = (lost + " with the START flag") % (model.name, model.name)
    assert refused(queued.result()) == (503, lost.format(1))
    assert told(fresh.result())["total"] == 5
    assert refused(model.send(2, add=1)) == (503, lost.format(2))
    assert refused(model.send(1)) == (400, NO_START.format(1, model.name))  # its END has been seen
    again = told(model.send(2, START, add=1))
    assert (again["total"], again["pid"] != pid) == (1, True)
    assert told(model.send(2, END, add=1))["total"] == 2


def test_sequences_of_other_instances_go_on(engine: Engine) -> None:
    model = Sequences(engine, instances=2)
    pids = [told(model.send(number, START, add=number))["pid"] for number in (1, 2)]
    assert len(set(pids)) == 2
    machine.kill(pids[0])
    answer = told(model.send(2, END, add=2))
    assert (answer["pid"], answer["total"]) == (pids[1], 4)
    assert model.send(1).status == 503


def test_a_restart_ends_sequences_and_says_so(engine: Engine) -> None:
    model = Sequences(engine)
    pid = told(model.send(1, START))["pid"]
    assert engine.http.post(f"/api/models/{model.name}/restart").status == 200
    status, text = refused(model.send(1))
    assert (status, "was lost" in text) == (503, True)
    assert told(model.send(1, START | END))["pid"] != pid


@pytest.mark.parametrize("scheduling", ["direct {}", "oldest { max_candidate_sequences: 2 }"])
def test_an_instance_that_is_not_wanted_any_more_goes_when_its_sequences_end(engine: Engine, scheduling: str) -> None:
    model = Sequences(engine, scheduling, instances=3)
    first, second = (told(model.send(number, START, add=number))["pid"] for number in (1, 2))
    path = engine.repository / model.name / "config.pbtxt"
    path.write_text(path.read_text().replace("KIND_CPU", "KIND_MODEL").replace("count: 3", "count: 1"))
    engine.load(model.name)
    [fresh] = engine.pids(model.name)
    wait_until(lambda: sorted(engine.stubs()) == sorted((first, second, fresh)), "the one without sequences is gone")
    assert told(model.send(3, START, add=1))["pid"] == fresh
    assert [told(model.send(number, add=number))["pid"] for number in (1, 2)] == [first, second]
    assert [told(model.send(number, END, add=number))["total"] for number in (1, 2)] == [3, 6]
    wait_until(lambda: engine.stubs() == [fresh], "they are gone, too")
    assert told(model.send(3, END, add=1))["total"] == 2


def one_after_the_other(model: Sequences, name: int) -> list[tuple[int, str]]:
    """Twelve sequences, begun again whenever they are lost; everything that was refused, and no total that is wrong."""
    refusals = []
    done = 0
    while done < 12:
        total = 0
        for step, flags in ((1, START), (2, 0), (3, END)):
            answer = model.send(name, flags, add=step)
            if answer.status != 200:
                refusals.append(refused(answer))
                break
            total += step
            assert told(answer)["total"] == total
        else:
            done += 1
    return refusals


@pytest.mark.parametrize("scheduling", ["direct {}", "oldest { max_candidate_sequences: 2 }"])
def test_no_sequence_is_wrong_however_often_processes_are_killed(engine: Engine, scheduling: str) -> None:
    model = Sequences(engine, scheduling, instances=2)
    clients = [engine.later(one_after_the_other, model, name) for name in range(1, 7)]
    for kill in range(3):
        wait_until(partial(model.has_answered, 20 * (kill + 1)), "they are on their way")
        machine.kill(engine.pids(model.name)[kill % 2])
        wait_until(model.has_all_instances, "it is back")
    refusals = [refusal for client in clients for refusal in client.result()]
    assert {status for status, _ in refusals} <= {500, 503}
    assert all("is not healthy" in text or "was lost when the process" in text for _, text in refusals)


# -- requests that come again -----------------------------------------------------------------------------------------


ITERATIVE = "direct {} iterative_sequence: true"


def test_a_request_is_executed_until_its_model_is_done_with_it(engine: Engine) -> None:
    model = Sequences(engine, ITERATIVE)
    answer = told(model.send(0, add=2, passes=3))
    assert (answer["passes"], answer["total"]) == ([START, 0, 0], 6)
    assert answer["batch"] == [shown(1, 0)]
    assert told(model.send(0, add=2, passes=1))["batch"] == [shown(2, START)]
    own = told(model.send(77, START, passes=2))
    assert (own["passes"], own["batch"]) == ([START, 0], [shown(77, 0)])
    assert refused(model.send(77)) == (400, NO_START.format(77, model.name))
    counts = model.statistics()["inference_stats"]
    assert (counts["success"]["count"], counts["fail"]["count"]) == (6, 0)


def test_requests_that_come_again_share_an_instance_with_others(engine: Engine) -> None:
    model = Sequences(engine, "oldest { max_candidate_sequences: 2 } iterative_sequence: true")
    answers = [model.send_later(0, add=number, passes=number) for number in (5, 3, 4, 1, 2)]
    totals = sorted(told(answer.result())["total"] for answer in answers)
    assert totals == [1, 4, 9, 16, 25]


def test_a_request_of_any_other_model_cannot_come_again(engine: Engine) -> None:
    model = Sequences(engine)
    text = (
        "Request is released with TRITONSERVER_REQUEST_RELEASE_RESCHEDULE, while the model is not configured to handle "
        "such a flag."
    )
    assert refused(model.send(5, START, passes=2)) == (500, text)
    assert f"Failed to release request: {text}" in engine.log.read_text()
    assert told(model.send(5, END))["passes"] == [START, END]


def test_who_has_hung_up_is_not_executed_again(engine: Engine) -> None:
    model = Sequences(engine, ITERATIVE)
    gate = engine.gate()
    with connect(engine.http.address) as gone:
        gone.sendall(engine.http.infer_bytes(model.name, inputs(gate=str(gate), at=1, passes=10**9)))
        gate.wait_until_entered()
    gate.open()
    model.arrived(0)  # although the model would go on for ever
    assert told(model.send(0))["batch"] == [shown(2, START)]


def test_a_process_that_ends_between_two_executions(engine: Engine) -> None:
    model = Sequences(engine, ITERATIVE)
    gate = engine.gate()
    held = model.send_later(0, gate=str(gate), at=2, passes=3)
    gate.wait_until_entered()
    machine.kill(engine.pids(model.name)[0])
    assert refused(held.result()) == (500, f"Stub process '{model.name}_0_0' is not healthy.")
    assert told(model.send(0, add=1, passes=2))["total"] == 2


def test_a_sequence_that_is_idle_for_too_long_is_not_executed_again(engine: Engine) -> None:
    model = Sequences(engine, ITERATIVE, idle_us=1)
    gate = engine.gate()
    slow = model.send_later(0, gate=str(gate), passes=2)
    gate.open()
    assert refused(slow.result()) == (400, NO_START.format(1, model.name))
    assert told(model.send(0, passes=1))["passes"] == [START]
