"""Shared memory: limits with clear errors, arrays that are kept, and nothing that grows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import command, connect, outputs, read_answer, said
from tests.process.conftest import loaded
from tests.process.engine import Engine, running_engine
from tests.process.leaks import LeakCheck
from tests.process.waiting import wait_until

LIMIT = 4 << 20
MANY = 20_000


@pytest.fixture(scope="module")
def small_engine() -> Iterator[Engine]:
    with running_engine("--arena-limit-byte-size", str(LIMIT)) as engine:
        leaks = LeakCheck(engine)
        loaded(engine, "puppet")
        yield engine
        leaks.check()
        assert engine.stop() == 0


@pytest.fixture
def model(small_engine: Engine) -> str:
    return str(small_engine.models()[0]["name"])


def test_a_request_larger_than_the_arena_can_ever_be(small_engine: Engine, model: str) -> None:
    answer = small_engine.infer(model, command("echo", np.zeros(2 * LIMIT, np.uint8).view(np.float32)))
    assert answer.status == 503
    assert str(LIMIT) in answer.error
    assert "shared memory" in answer.error
    assert said(small_engine.infer(model, command("echo", value=1))) == 1


def test_requests_wait_for_memory_and_are_all_answered(small_engine: Engine, model: str) -> None:
    third = np.ones(LIMIT // 12, np.float32)
    gate = small_engine.gate()
    held = small_engine.infer_later(model, command("hold", third, gate=str(gate)))
    gate.wait_until_entered()
    waiting = [small_engine.infer_later(model, command("plus_one", third)) for _ in range(6)]
    gate.open()
    assert said(held.result()) > 0
    assert all((outputs(item.result())["RESULT"] == 2).all() for item in waiting)


def test_an_output_larger_than_the_limit(small_engine: Engine, model: str) -> None:
    answer = small_engine.infer(model, command("give", count=LIMIT))
    assert answer.status in (500, 503)
    assert f"limit of {LIMIT} bytes" in answer.error
    assert outputs(small_engine.infer(model, command("give", count=1000)))["RESULT"].size == 1000


def test_outputs_that_fill_the_arena_again_and_again(small_engine: Engine, model: str) -> None:
    assert small_engine.http.post(f"/api/models/{model}/restart").status == 200  # an arena without history
    request = small_engine.http.infer_bytes(model, command("give", count=LIMIT // 8))
    with connect(small_engine.http.address) as sock:
        for _ in range(20):
            sock.sendall(request)
            assert outputs(read_answer(sock))["RESULT"].size == LIMIT // 8


def test_a_lane_has_its_limit_too(small_engine: Engine) -> None:
    lane = small_engine.lane()
    with pytest.raises(MemoryError, match=str(LIMIT)):
        lane.empty((2 * LIMIT,), np.uint8)
    kept = lane.empty((LIMIT // 2,), np.uint8)
    assert kept.size == LIMIT // 2
    lane.close()


def test_inputs_that_a_model_keeps_stay_as_they_were(engine: Engine, puppet: str) -> None:
    for number in range(1, 5):
        assert said(engine.infer(puppet, command("keep", np.full(1000, number, np.float32)))) == 1000 * number
    for _ in range(50):  # memory is used again by others meanwhile
        engine.infer(puppet, command("plus_one", np.zeros(1000, np.float32)))
    assert said(engine.infer(puppet, command("count_kept"))) == [1000.0, 2000.0, 3000.0, 4000.0]
    assert engine.model(puppet)["versions"][0]["arena_used_bytes"] >= 16000
    said(engine.infer(puppet, command("drop")))
    wait_until(lambda: not engine.model(puppet)["versions"][0]["arena_used_bytes"], "they are free")


def test_a_model_that_keeps_inputs_can_be_reloaded_and_unloaded(engine: Engine, puppet: str) -> None:
    assert said(engine.infer(puppet, command("keep", [1.0, 2.0]))) == 3
    [old] = engine.pids(puppet)
    (engine.repository / puppet / "1" / "new.txt").write_text("so that it is another one")
    engine.load(puppet)
    wait_until(lambda: machine.is_gone(old), "the old one ends")
    assert said(engine.infer(puppet, command("keep", [1.0, 2.0]))) == 3
    engine.unload(puppet)
    wait_until(lambda: engine.index(puppet)["state"] == "UNAVAILABLE", "it is unloaded")


def test_inputs_from_a_lane_that_a_model_keeps(engine: Engine, puppet: str) -> None:
    lane = engine.lane()
    x = lane.empty((1000,), np.float32)
    x[:] = 7
    lane.infer(puppet, {**command("keep"), "DATA": x})
    del x
    lane.close()
    assert said(engine.infer(puppet, command("count_kept"))) == [7000.0]
    said(engine.infer(puppet, command("drop")))


def test_answers_that_outlive_everything(engine: Engine, puppet: str) -> None:
    lane = engine.lane()
    answer = lane.infer(puppet, command("plus_one", np.ones(1000, np.float32)))["RESULT"]
    machine.kill(engine.pids(puppet)[0])
    wait_until(lambda: engine.ready(puppet), "it is back")
    assert (answer == 2).all()
    assert lane.infer(puppet, command("plus_one", [3.0]))["RESULT"].tolist() == [4.0]
    lane.close()
    assert (answer == 2).all()


def test_many_small_requests_take_nothing(engine: Engine, puppet: str) -> None:
    lane = engine.lane()
    request = engine.http.infer_bytes(puppet, command("plus_one", np.ones(16, np.float32)))
    inputs = {name: lane.asarray(array) for name, array in command("plus_one", np.ones(16, np.float32)).items()}
    with connect(engine.http.address) as sock:

        def some(count: int) -> None:
            for _ in range(count // 2):
                lane.infer(puppet, inputs)
                sock.sendall(request)
                assert read_answer(sock).status == 200

        some(MANY // 4)  # pools and caches have filled
        processes = (engine.pid, engine.pids(puppet)[0])
        capacity = engine.instances(puppet)[0]["arena_bytes"]
        before = [machine.resident_nbytes(pid) for pid in processes]
        some(MANY * 3 // 4)
        grown = [machine.resident_nbytes(pid) - then for pid, then in zip(processes, before)]
    assert max(grown) < MANY * 3 // 4 * 20, grown  # less than 20 bytes a request
    assert engine.instances(puppet)[0]["arena_bytes"] == capacity
    assert engine.instances(puppet)[0]["requests"] == MANY
    inputs.clear()
    wait_until(lambda: lane.used_nbytes == 0, "the lane's memory is free")
    lane.close()


def test_failing_requests_take_nothing(engine: Engine, puppet: str) -> None:
    request = engine.http.infer_bytes(puppet, command("nothing_like_this"))
    wrong = engine.http.infer_bytes(puppet, {"COMMAND": np.ones(3, np.float32)})

    def some(count: int) -> None:
        with connect(engine.http.address) as sock:
            for data in (request, wrong) * count:
                sock.sendall(data)
                assert read_answer(sock).status in (400, 500)

    some(500)
    processes = (engine.pid, engine.pids(puppet)[0])
    before = [machine.resident_nbytes(pid) for pid in processes]
    some(1000)
    assert max(machine.resident_nbytes(pid) - then for pid, then in zip(processes, before)) < 1 << 20
