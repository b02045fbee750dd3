"""`preserve_ordering` with two real processes: whoever is done first, answers leave in the order of the requests."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.client import command, connect, outputs, read_answer, said
from tests.process.engine import Engine, running_engine
from tests.process.gates import Gate
from tests.process.leaks import LeakCheck
from tests.process.repository import add_model
from tests.process.waiting import wait_until

ORDERED = " dynamic_batching { preserve_ordering: true }"
CACHED = " response_cache { enable: true }"


class Line:
    """A connection with one request on it, so that one sees whether the answer has been written."""

    def __init__(self, engine: Engine, model: str, request: bytes) -> None:
        self._engine = engine
        self._model = model
        self.sock: socket.socket = connect(engine.http.address)
        self.sock.sendall(request)

    @property
    def answered(self) -> bool:
        """What leaves with the counters of a model has left when they can be read."""
        self._engine.inference_stats(self._model)
        return bool(select.select([self.sock], [], [], 0)[0])

    def close(self) -> None:
        self.sock.close()


class Model:
    """A puppet with two instances, the first of which a test holds."""

    def __init__(self, engine: Engine, name: str, extra: str = ORDERED) -> None:
        self.engine = engine
        self.name = name
        self.lines: list[Line] = []
        add_model(engine.repository, "puppet", name, instances=2, extra=extra)
        engine.load(name)

    def send(self, do: str, **arguments: Any) -> Line:
        line = Line(self.engine, self.name, self.engine.http.infer_bytes(self.name, command(do, **arguments)))
        self.lines.append(line)
        return line

    def hold(self) -> tuple[Gate, Line]:
        gate = self.engine.gate()
        line = self.send("hold", gate=str(gate))
        gate.wait_until_entered()
        return gate, line

    def wait_until_counted(self, count: int, kind: str = "success") -> None:
        wait_until(lambda: self.engine.inference_stats(self.name)[kind]["count"] >= count, f"{count} {kind}")


@pytest.fixture(scope="module")
def cached() -> Iterator[Engine]:
    with running_engine("--cache-config=local,size=4194304") as engine:
        yield engine


@pytest.fixture
def models() -> Iterator[list[Model]]:
    made: list[Model] = []
    yield made
    for model in made:
        for line in model.lines:
            line.close()


def test_who_is_faster_waits(engine: Engine, models: list[Model]) -> None:
    model = Model(engine, "ordered")
    models.append(model)
    leaks = LeakCheck(engine)
    gate, slow = model.hold()
    fast = [model.send("echo", value=number) for number in (1, 2)]
    model.wait_until_counted(2)
    assert [line.answered for line in fast] == [False, False]
    gate.open()
    outputs(read_answer(slow.sock))
    assert [said(read_answer(line.sock)) for line in fast] == [1, 2]
    for line in model.lines:
        line.close()
    leaks.check()


def test_without_it_nobody_waits(engine: Engine, models: list[Model]) -> None:
    model = Model(engine, "unordered", " dynamic_batching { }")
    models.append(model)
    gate, slow = model.hold()
    fast = model.send("echo", value=1)
    assert said(read_answer(fast.sock)) == 1
    assert not slow.answered
    gate.open()
    outputs(read_answer(slow.sock))


def test_nobody_waits_for_a_client_that_has_gone(engine: Engine, models: list[Model]) -> None:
    model = Model(engine, "deserted")
    models.append(model)
    gate, slow = model.hold()
    early, late = model.send("echo", value=1), model.send("echo", value=2)
    model.wait_until_counted(2)
    early.close()
    slow.close()
    assert said(read_answer(late.sock)) == 2
    gate.open()
    model.wait_until_counted(3)


def test_failures_wait_too_and_dead_processes_let_go(engine: Engine, models: list[Model]) -> None:
    model = Model(engine, "dying")
    models.append(model)
    gate, slow = model.hold()
    fast, failing = model.send("pid"), model.send("nonsense")
    model.wait_until_counted(1)
    model.wait_until_counted(1, "fail")
    assert [fast.answered, failing.answered] == [False, False]
    pids = {item["state"]: item["pid"] for item in engine.instances(model.name)}
    os.kill(pids["READY"], signal.SIGKILL)
    wait_until(lambda: pids["READY"] not in engine.pids(model.name), "its end has been noticed")
    os.kill(pids["BUSY"], signal.SIGKILL)
    assert read_answer(slow.sock).status == 500
    assert said(read_answer(fast.sock)) == pids["READY"], "the memory has outlived the process"
    assert read_answer(failing.sock).status == 500
    gate.close()


def test_what_the_cache_knows_waits_too(cached: Engine, models: list[Model]) -> None:
    model = Model(cached, "remembered", ORDERED + CACHED)
    models.append(model)
    assert said(read_answer(model.send("echo", value=1).sock)) == 1
    gate, slow = model.hold()
    known = model.send("echo", value=1)
    model.wait_until_counted(1, "cache_hit")
    assert not known.answered
    gate.open()
    outputs(read_answer(slow.sock))
    assert said(read_answer(known.sock)) == 1


def test_who_expires_does_not_wait(engine: Engine, models: list[Model]) -> None:
    policy = "default_queue_policy { default_timeout_microseconds: 1000 }"
    model = Model(engine, "expiring", f" dynamic_batching {{ preserve_ordering: true {policy} }}")
    models.append(model)
    held = [model.hold(), model.hold()]
    expired = model.send("echo", value=1)
    assert read_answer(expired.sock).status == 503
    for gate, _ in reversed(held):
        gate.open()
    for _, line in held:
        outputs(read_answer(line.sock))
