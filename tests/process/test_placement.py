"""Where processes run, and which of them never execute."""

from __future__ import annotations

import os

import pytest

from tests.process.client import command, outputs
from tests.process.conftest import loaded
from tests.process.engine import Engine, running_engine
from tests.process.repository import add_model

MINE = sorted(os.sched_getaffinity(0))
LAST = MINE[-1]


def grouped(engine: Engine, name: str, group: str) -> str:
    """A puppet whose one group of instances says more."""
    config = add_model(engine.repository, "puppet", name) / "config.pbtxt"
    config.write_text(config.read_text().replace("kind: KIND_CPU", f"kind: KIND_CPU {group}"))
    return name


def test_processes_stay_where_their_policy_says() -> None:
    with running_engine(f"--host-policy=here,cpu-cores={LAST}-{LAST}", "--host-policy=odd,cpu-cores=x") as engine:
        engine.load(grouped(engine, "placed", 'host_policy: "here"'))
        engine.load(grouped(engine, "free", ""))
        [placed], [free] = engine.pids("placed"), engine.pids("free")
        assert os.sched_getaffinity(placed) == {LAST}
        assert os.sched_getaffinity(free) == set(MINE)
        name = grouped(engine, "odd", 'host_policy: "odd"')
        answer = engine.http.post(f"/v2/repository/models/{name}/load")
        assert (answer.status, answer.json()["error"]) == (
            400,
            "load failed for model 'odd': version 1 is at UNAVAILABLE state: Invalid argument: host policy setting "
            "'cpu-cores' format is '<lower_cpu_core_id>-<upper_cpu_core_id>'. Got x;\n",
        )


def test_the_lowest_priority_is_the_systems_too(engine: Engine) -> None:
    name = loaded(engine, "puppet", extra="optimization { priority: PRIORITY_MIN }")
    [pid] = engine.pids(name)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    engine.unload(name)


@pytest.mark.parametrize("scheduling", ["", "dynamic_batching {}"])
def test_passive_instances_are_there_and_do_not_execute(engine: Engine, scheduling: str) -> None:
    name = loaded(engine, "puppet", extra=f"instance_group {{ kind: KIND_CPU passive: true }} {scheduling}")
    active, passive = engine.pids(name)
    gate = engine.gate()
    held = engine.infer_later(name, command("hold", gate=str(gate)))
    gate.wait_until_entered()
    waiting = engine.infer_later(name, command("pid"))
    gate.open()
    said = {outputs(answer.result(30))["ANSWER"][0] for answer in (held, waiting)}
    assert said == {str(active).encode()}
    assert passive in engine.tree()
    engine.unload(name)
