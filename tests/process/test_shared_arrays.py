"""Arrays that a kernel shares: one copy for all processes of a model, for as long as somebody refers to it."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.transports.lane.client import Lane
from tests.process import machine
from tests.process.client import outputs
from tests.process.engine import Engine
from tests.process.interpreters import make_environment
from tests.process.waiting import wait_until

MODEL = """
import triton_python_backend_utils as pb_utils
from pyserve_share import shared

class TritonPythonModel:
    def initialize(self, args):
        self.weights = shared("weights")
        assert self.weights is shared("weights")
        assert not self.weights.flags.writeable
        self.sum = self.weights.sum()

    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", self.weights[r.inputs()[0].as_numpy()])])
                for r in requests]
"""
CONFIG = """
input {{ name: "IN" data_type: TYPE_INT64 dims: [ -1 ] }}
output {{ name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }}
instance_group {{ count: {instances} kind: KIND_CPU }}
{extra}
"""


@pytest.fixture
def lane(engine: Engine) -> Iterator[Lane]:
    made = engine.lane()
    yield made
    made.close()


def share(lane: Lane, array: np.ndarray[Any, Any], name: str = "weights") -> None:
    fd = os.memfd_create("pyserve-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, array.tobytes())
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        lane.ask("share", (fd,), name=name, dtype=array.dtype.str, shape=list(array.shape))
    finally:
        os.close(fd)


def deploy(engine: Engine, name: str, *, instances: int = 1, extra: str = "") -> dict[str, Any]:
    return engine.deploy(name, MODEL, CONFIG.format(instances=instances, extra=extra))[-1]


def references(engine: Engine) -> list[list[str]]:
    status = engine.http.get("/api/status").json()
    return [row["references"] for row in status["engine"]["shared"]]


def at(engine: Engine, name: str, index: int) -> float:
    return float(outputs(engine.infer(name, {"IN": np.array([index])}))["OUT"][0])


def remove(engine: Engine, name: str) -> None:
    assert engine.http.post(f"/api/models/{name}/undeploy", {"delete": True}).status == 200
    wait_until(lambda: f"{name}/" not in str(references(engine)), lambda: f"{references(engine)}")


def shared_pss_nbytes(pid: int) -> int:
    found = re.search(r"^Pss_Shmem:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def test_all_instances_map_one_copy(engine: Engine, lane: Lane) -> None:
    array = np.arange(8 << 20, dtype=np.float32)
    share(lane, array)
    assert deploy(engine, "mapped", instances=4)["event"] == "ready"
    assert at(engine, "mapped", 12345) == 12345
    kernel = f"kernel {os.getpid()}"
    assert references(engine) == [[kernel, *(f"mapped/mapped_0_{number}" for number in range(4))]]
    pss = sum(shared_pss_nbytes(pid) for pid in engine.pids("mapped"))
    assert pss < 1.5 * array.nbytes
    remove(engine, "mapped")
    assert references(engine) == [[kernel]]
    lane.ask("unshare", name="weights")
    assert references(engine) == []


def test_a_model_keeps_it_when_the_kernel_ends_and_through_a_crash(engine: Engine, lane: Lane) -> None:
    share(lane, np.ones(4, np.float32))
    assert deploy(engine, "keeping")["event"] == "ready"
    lane.close()
    wait_until(lambda: references(engine) == [["keeping/keeping_0_0"]], lambda: f"{references(engine)}")
    (pid,) = engine.pids("keeping")
    machine.kill(pid)
    wait_until(
        lambda: engine.ready("keeping") and engine.pids("keeping") != [pid], lambda: f"{engine.model('keeping')}"
    )
    assert at(engine, "keeping", 3) == 1
    remove(engine, "keeping")
    assert references(engine) == []


def test_a_new_generation_is_for_new_loads(engine: Engine, lane: Lane) -> None:
    share(lane, np.ones(4, np.float32))
    assert deploy(engine, "first")["event"] == "ready"
    share(lane, np.full(4, 2, np.float32))
    assert deploy(engine, "second")["event"] == "ready"
    assert (at(engine, "first", 0), at(engine, "second", 0)) == (1, 2)
    assert len(references(engine)) == 2
    remove(engine, "first")
    assert len(references(engine)) == 1
    remove(engine, "second")


def test_what_nobody_shares_fails_the_load_and_says_what_to_do(engine: Engine) -> None:
    failed = deploy(engine, "lacking")
    assert failed["event"] == "error"
    assert 'call pyserve.share("weights", array) in the notebook' in failed["message"]
    assert references(engine) == []


def test_an_interpreter_of_its_own_maps_it_too(engine: Engine, lane: Lane, tmp_path: Path) -> None:
    path = make_environment(sys.executable, tmp_path / "env")
    share(lane, np.ones(4, np.float32))
    extra = f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{path}" }} }}'
    event = deploy(engine, "foreign", extra=extra)
    assert event["event"] == "ready", event
    assert at(engine, "foreign", 0) == 1
    remove(engine, "foreign")


def test_memory_that_could_change_is_refused_and_the_lane_goes_on(engine: Engine, lane: Lane) -> None:
    fd = os.memfd_create("pyserve-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, bytes(4))
    with pytest.raises(PyServeError, match="must be sealed"):
        lane.ask("share", (fd,), name="weights", dtype="<f4", shape=[1])
    os.close(fd)
    share(lane, np.ones(1, np.float32))
    assert len(references(engine)) == 1
