"""Warm-up: every instance answers its samples before it serves, also one that is started again."""

from __future__ import annotations

import os
import signal
import struct

import pytest

from tests.process.engine import Engine
from tests.process.waiting import wait_until

_SOURCE = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        shown = []
        for request in requests:
            inputs = sorted((item.name(), item.as_numpy().tolist()) for item in request.inputs())
            shown.append((inputs, request.flags()))
            if DECOUPLED:
                sender = request.get_response_sender()
                for _ in range(2):
                    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.zeros((1, 2), np.float32))]))
                sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        print("warmed", shown)
        if DECOUPLED:
            return None
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", np.zeros((1, 2), np.float32))]) for _ in requests]
"""

_CONFIG = """backend: "python"
max_batch_size: 4
input [ { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "S" data_type: TYPE_STRING dims: [ 2 ] } ]
output [ { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] } ]
"""

_SAMPLE = """model_warmup {
  name: "sample"
  batch_size: 2
  inputs { key: "X" value: { data_type: TYPE_FP32 dims: [ 2 ] %s } }
  inputs { key: "S" value: { data_type: TYPE_STRING dims: [ 2 ] %s } }
}
"""

_ZEROS = _SAMPLE % ("zero_data: true", "zero_data: true")
_ZERO = [("S", [[b"", b""]]), ("X", [[0.0, 0.0]])]


def add(engine: Engine, config: str, *, decoupled: bool = False) -> str:
    """A model in the repository that is not loaded."""
    name = f"warm{len(list(engine.repository.iterdir()))}"
    folder = engine.repository / name
    (folder / "1").mkdir(parents=True)
    (folder / "warmup").mkdir()
    (folder / "1" / "model.py").write_text(_SOURCE.replace("DECOUPLED", str(decoupled)))
    (folder / "config.pbtxt").write_text(_CONFIG + config)
    return name


def warmed(engine: Engine, name: str, batches: int = 1) -> dict[str, list[str]]:
    """What each process saw, of so many batches."""
    seen: dict[str, list[str]] = {}
    for record in engine.said(name, "warmed ", batches):
        seen.setdefault(str(record["pid"]), []).append(record["text"].removeprefix("warmed "))
    return seen


def test_every_instance_is_warm_before_it_serves(engine: Engine) -> None:
    name = add(engine, _ZEROS.replace("batch_size: 2", "batch_size: 2 count: 3") + "instance_group { count: 2 }")
    engine.load(name)
    assert warmed(engine, name, 6) == {str(pid): [str([(_ZERO, 0)] * 2)] * 3 for pid in engine.pids(name)}
    [entry] = engine.http.get(f"/v2/models/{name}/stats").json()["model_stats"]
    assert (entry["inference_count"], entry["execution_count"]) == (12, 6)
    [victim, _] = engine.pids(name)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(warmed(engine, name)) == 3 and engine.ready(name), "its successor is warm")


def test_data_from_files(engine: Engine) -> None:
    name = add(engine, _SAMPLE % ('input_data_file: "x"', 'input_data_file: "s"'))
    folder = engine.repository / name / "warmup"
    (folder / "x").write_bytes(struct.pack("<2f", 1.5, 2.5))
    (folder / "s").write_bytes(b"".join(struct.pack("<I", len(item)) + item for item in (b"one", b"three")))
    engine.load(name)
    [seen] = warmed(engine, name).values()
    assert seen == [str([([("S", [[b"one", b"three"]]), ("X", [[1.5, 2.5]])], 0)] * 2)]


def test_a_file_that_is_too_short(engine: Engine) -> None:
    name = add(engine, _SAMPLE % ('input_data_file: "x"', "zero_data: true"))
    (engine.repository / name / "warmup" / "x").write_bytes(b"abc")
    text = "warmup setting expects 8 bytes, but the data provided from xonly has 3 bytes"
    assert text in engine.http.post(f"/v2/repository/models/{name}/load").error
    assert not [pid for pid in engine.stubs() if pid in engine.pids(name)]


def test_random_values(engine: Engine) -> None:
    name = add(engine, _SAMPLE % ("random_data: true", "random_data: true"))
    engine.load(name)
    [[seen]] = warmed(engine, name).values()
    assert "[0.0, 0.0]" not in seen


def test_a_decoupled_model(engine: Engine) -> None:
    name = add(engine, _ZEROS + "model_transaction_policy { decoupled: true }", decoupled=True)
    engine.load(name)
    assert list(warmed(engine, name).values()) == [[str([(_ZERO, 0)] * 2)]]


@pytest.mark.parametrize(("data_type", "identity"), [("TYPE_UINT64", "1"), ("TYPE_STRING", "b'1'")])
def test_a_model_of_sequences(engine: Engine, data_type: str, identity: str) -> None:
    control = """sequence_batching {
      control_input [ { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] } ]
      control_input [ { name: "ID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: %s } ] } ]
    }"""
    name = add(engine, _ZEROS + control % data_type)
    engine.load(name)
    [[seen]] = warmed(engine, name).values()
    assert seen.count(f"('ID', [[{identity}]])") == 2
    assert seen.count("('START', [[1]])") == 2
    assert seen.count(", 3)") == 2


def test_a_process_that_dies_of_it(engine: Engine) -> None:
    name = add(engine, _ZEROS)
    path = engine.repository / name / "1" / "model.py"
    path.write_text(path.read_text().replace("shown = []", "import os; os._exit(1)"))
    text = f"failed to run warmup sample 'sample': Stub process '{name}_0' is not healthy.; "
    assert text in engine.http.post(f"/v2/repository/models/{name}/load").error
