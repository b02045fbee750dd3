"""The zygote or the engine dies: the engine brings everything back, or everything goes with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import command, outputs, said
from tests.process.conftest import loaded
from tests.process.engine import Engine, Server, environment
from tests.process.gates import Gate
from tests.process.repository import add_model
from tests.process.waiting import wait_until

X = {"X": np.ones(3, np.float32)}


def test_the_zygote_is_killed_and_every_instance_comes_back(fresh_engine: Engine) -> None:
    engine = fresh_engine
    model, other = loaded(engine, "fickle", instances=8), loaded(engine, "puppet")
    before, zygote = engine.tree(), engine.zygote()
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: all(machine.is_gone(pid) for pid in before), "its stubs die with it")

    def are_back() -> bool:
        rows = [*engine.instances(model), *engine.instances(other)]
        return all(item["state"] == "READY" and item["pid"] not in before for item in rows)

    wait_until(are_back, lambda: f"all nine are back: {engine.models()}")
    for _ in range(20):
        assert outputs(engine.infer(model, X))["Y"].tolist() == [2, 2, 2]
    assert said(engine.infer(other, command("echo", value=1))) == 1
    assert engine.ready(model)
    assert len(engine.stubs()) == 9
    assert engine.zygote() != zygote
    assert not [pid for pid in engine.tree() if machine.state(pid) == "Z"]
    assert engine.stop() == 0


def test_the_zygote_is_killed_while_a_model_loads(fresh_engine: Engine) -> None:
    engine = fresh_engine
    gate = engine.gate()
    target = add_model(engine.repository, "fickle")
    (target / "mode").write_text(f"import block {gate}")
    loading = engine.later(engine.http.post, "/v2/repository/models/fickle/load")
    gate.wait_until_entered()
    os.kill(engine.zygote(), signal.SIGKILL)
    answer = loading.result()
    assert answer.status == 400
    assert "Stub process 'fickle_0_0' is not healthy." in answer.error
    (target / "mode").write_text("fine")
    engine.load("fickle")
    assert outputs(engine.infer("fickle", X))["Y"].tolist() == [2, 2, 2]


def test_the_engine_is_killed_while_models_do_their_worst(fresh_engine: Engine) -> None:
    engine = fresh_engine
    gates = [engine.gate() for _ in range(3)]
    for deed, gate in zip(("sleep", "hold_the_interpreter", "hold"), gates):
        engine.infer_later(loaded(engine, "puppet"), command(deed, gate=str(gate)))
        gate.wait_until_entered()
    gates[0].open()
    gates[1].open()
    idle = loaded(engine, "puppet", instances=2)
    assert len(engine.pids(idle)) == 2
    seen = engine.tree()
    assert len(seen) == 6
    engine.process.kill()
    engine.process.wait()
    wait_until(lambda: all(machine.is_gone(pid) for pid in seen), lambda: f"all are gone: {seen}", deadline_s=20)


def test_nothing_outlives_a_killed_server(tmp_path: Path, serve: Callable[..., Server]) -> None:
    repository = tmp_path / "models"
    add_model(repository, "puppet", instances=2)
    server = serve(repository)
    client = server.wait_until_ready()
    seen = machine.descendants(server.pid)
    assert len(seen) == 3
    server.process.kill()
    assert server.wait() == -signal.SIGKILL
    wait_until(lambda: all(machine.is_gone(pid) for pid in seen), "zygote and stubs are gone")
    with pytest.raises(ConnectionRefusedError):
        client.get("/v2/health/live")


def test_it_ends_with_whoever_started_it(fresh_engine: Engine) -> None:
    engine = fresh_engine
    loaded(engine, "puppet")
    seen = engine.tree()
    assert engine.process.stdin is not None
    engine.process.stdin.close()
    assert engine.process.wait(30) == 0
    assert all(machine.is_gone(pid) for pid in seen)
    assert not (engine.folder / "state.json").exists()


def test_it_deletes_no_folder_that_was_not_made_for_it(fresh_engine: Engine) -> None:
    engine = fresh_engine
    for name in ("http.sock", "lane.sock"):
        (engine.folder / name).unlink()
    assert engine.process.stdin is not None
    engine.process.stdin.close()
    assert engine.process.wait(30) == 0
    assert engine.repository.is_dir()


STARTER = """
import os, sys
from pathlib import Path
from jupyter_pyserve.notebook.own_engine import OwnEngine
engine = OwnEngine(Path(sys.argv[1]))
engine.start()
if not os.fork():  # as multiprocessing does: it has open whatever its parent has
    sys.stdin.read()
    os._exit(0)
print(engine._process.pid, engine.folder, flush=True)
sys.stdin.read()
"""


def test_a_kernels_own_engine_ends_with_it_although_processes_that_it_forked_live_on(tmp_path: Path) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with kernel:
        assert kernel.stdout is not None
        pid, folder = kernel.stdout.readline().split()
        kernel.kill()
        try:
            wait_until(lambda: machine.is_gone(int(pid)), "the engine is gone")
            assert not Path(folder).exists()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def test_what_was_loaded_is_loaded_again_after_a_crash(fresh_engine: Engine) -> None:
    engine = fresh_engine
    kept, gone = loaded(engine, "puppet"), loaded(engine, "fickle")
    engine.unload(gone)
    engine.process.kill()
    engine.process.wait()
    engine.kill_and_start_again()
    assert said(engine.infer(kept, command("echo", value="back"))) == "back"
    assert engine.infer(gone, X).status == 404


class TestADeployInterrupted:
    """The engine is killed while a new version is on its way."""

    @pytest.fixture(params=["import", "initialize"])
    def stage(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def block(self, stage: str, gate: Gate) -> str:
        """A model that stands in a gate at a stage."""
        wait = f'open({str(gate)!r}, "rb").read()'
        at_import = f"{wait}\n" if stage == "import" else ""
        at_initialize = wait if stage == "initialize" else "pass"
        return f"{at_import}class TritonPythonModel:\n    def initialize(self, args):\n        {at_initialize}\n"

    def kill_during_deploy(self, engine: Engine, name: str, stage: str) -> None:
        gate = engine.gate()
        deploying = engine.later(engine.deploy, name, self.block(stage, gate))
        gate.wait_until_entered()
        engine.process.kill()
        engine.process.wait()
        assert deploying.exception() is not None

    def test_the_old_version_serves_after_a_restart(self, fresh_engine: Engine, stage: str) -> None:
        engine = fresh_engine
        name = loaded(engine, "puppet")
        config = (engine.repository / name / "config.pbtxt").read_text()
        self.kill_during_deploy(engine, name, stage)
        engine.kill_and_start_again()
        assert said(engine.infer(name, command("echo", value=1))) == 1
        assert [row["version"] for row in engine.model(name)["versions"]] == ["1"]
        assert (engine.repository / name / "config.pbtxt").read_text() == config
        engine.unload(name)
        engine.load(name)  # what the crash left behind is no version
        assert [row["version"] for row in engine.model(name)["versions"] if row["state"] == "READY"] == ["1"]

    def test_a_model_that_never_was_can_be_deployed_afterwards(self, fresh_engine: Engine, stage: str) -> None:
        engine = fresh_engine
        self.kill_during_deploy(engine, "newcomer", stage)
        engine.kill_and_start_again()
        assert engine.models() == []
        code = "import os\nfrom puppet_code import TritonPythonModel\n"
        assert engine.deploy("newcomer", code)[-1]["event"] == "error"
        good = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"
        assert engine.deploy("newcomer", good)[-1]["event"] == "ready"
        assert [row["version"] for row in engine.model("newcomer")["versions"]] == ["1"]
        left = sorted(path.name for path in (engine.repository / "newcomer" / "1").iterdir())
        assert left == [".deploy.json", "model.py"]  # the first is what a roll back needs
