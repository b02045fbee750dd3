"""IPython in a plain terminal, without any Jupyter server: an engine of its own, answers as text, nothing left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jupyter_pyserve
from tests.process import machine

ROOT = Path(jupyter_pyserve.__file__).parents[1]
SESSION = """
%load_ext jupyter_pyserve
import jupyter_pyserve as pyserve, numpy as np
OFFSET = 3
weights = np.full(4, 0.25)
_ = pyserve.share("weights", weights)
def shifted(x):
    return x + OFFSET

%%pyserve model shift --input X:FP64:-1 --output Y:FP64:-1 --deploy
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [answer(request) for request in requests]

def answer(request):
    x = shifted(request.inputs()[0].as_numpy()) + weights.sum()
    return pb_utils.InferenceResponse([pb_utils.Tensor("Y", x)])


pyserve.model("shift")([1.0, 2.0])
%pyserve status
%pyserve list
%pyserve status shift
%%pyserve model lame --deploy --input X:FP32:1
class TritonPythonModel:
    def execute(self, requests):
        return lock


!curl -s -o /dev/null -w "%{http_code}" -H "Authorization: token $PYSERVE_TOKEN" $PYSERVE_URL/v2/models/shift/ready
print("engine", pyserve.status().status["engine"]["pid"])
"""


ADD = """%%pyserve model add --input INPUT0:FP32:-1 --output OUTPUT0:FP32:-1 --deploy
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        print("asked for", len(requests))
        sums = [pb_utils.Tensor("OUTPUT0", request.inputs()[0].as_numpy() + {more}) for request in requests]
        return [pb_utils.InferenceResponse([item]) for item in sums]


"""
LIFE = f"""
%load_ext jupyter_pyserve
import jupyter_pyserve as pyserve
x = [1, 2]
{ADD.format(more=1)}
%pyserve infer add INPUT0=[*x, 3] --id abc
%pyserve status add
%pyserve scale add 3
{ADD.format(more=10)}
%pyserve infer add INPUT0=x
%pyserve rollback add
%pyserve infer add INPUT0=x
%pyserve logs add --grep ASKED --request abc
%pyserve drain add
%pyserve infer add INPUT0=x
%pyserve resume add
%pyserve top add --once
await pyserve.aio.infer("add", {{"INPUT0": [40]}})
%pyserve open add
%pyserve export add out
%pyserve serve --model-repository out --http-port 0 --grpc-port 0 --metrics-port 0
!curl -s {{pyserve.servers()[0].http_url}}/v2/models/add | cut -c1-40
%pyserve serve --stop
%pyserve infer ad INPUT0=x
%pyserve infre add INPUT0=x
%pyserve undeploy add
%pyserve status add
print("engine", pyserve.status().status["engine"]["pid"])
"""


def session(folder: Path, typed: str = SESSION) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYSERVE_")}
    kept |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'stub'}", "IPYTHONDIR": str(folder / "ipython"), "TERM": "dumb"}
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--simple-prompt",
        "--colors=nocolor",
        "--no-banner",
        "--no-confirm-exit",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept,
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_session_in_a_terminal(tmp_path: Path) -> None:
    shown = session(tmp_path)
    assert "one of its own is started (http://127.0.0.1:" in shown
    assert f"models in {tmp_path}/model_repository)" in shown
    assert "{'Y': array([5., 6.])}" in shown
    assert re.search(r"shift: READY  in [\d.,]+ [mµ]s", shown), shown
    assert re.search(r"weights +<f8 \[4\] +32 B +kernel \d+, shift/shift_0", shown), shown
    assert re.search(r"'lock' is defined neither", shown), shown
    assert "200" in shown
    assert "<table" not in shown
    found = re.search(r"engine (\d+)$", shown, re.MULTILINE)
    assert found is not None
    assert machine.is_gone(int(found[1]))
    assert (tmp_path / "model_repository" / "shift" / "1" / "model.py").is_file()


def shown_by(output: str) -> list[str]:
    """What each line that was typed has shown, in order, of those that have shown anything."""
    parts = re.split(r"In \[\d+\]: |^   \.\.\.: ", output, flags=re.MULTILINE)
    return [part.strip() for part in parts if part.strip()]


def test_the_life_of_a_model_in_a_terminal(tmp_path: Path) -> None:
    output = session(tmp_path, LIFE)
    parts = shown_by(output)
    wanted = [
        r"add: READY  in [\d.,]+ [mµ]s",
        r"add answered in [\d.,]+ [mµ]s\nOUTPUT +TYPE +SHAPE +VALUES\nOUTPUT0 +float32 +\[3\] +\[2., 3., 4.\]$",
        r"^add: READY\n[^$]*add_0 +1 +\d+ +READY",
        r"^add: READY\n[^$]*add_2 +1 +\d+ +READY",
        r"add: READY  in [\d.,]+ [mµ]s",
        r"\[11., 12.\]$",
        r"^add: READY  version 3 is what version 1 was",
        r"\[2., 3.\]$",
        r"^\d\d:\d\d:\d\d  add_\d  stdout  \[abc\] asked for 1$",
        r"finishes what it has and refuses new requests; %pyserve resume add ends that",
        r"PyServeError: model 'add' is being drained .*\n%pyserve resume add lets requests in",
        r"'add' takes requests again",
        r"^MODEL +INSTANCE +PID +STATE +REQ/S",
        r"OUTPUT0 +float32 +\[1\] +\[41.\]$",
        r"statistics +http://127.0.0.1:\d+/v2/models/add/stats",
        r"model 'add' is in out/add; tritonserver --model-repository=out serves it",
        r"^SERVER +PID +STATE +ADDRESS\n0 +\d+ +READY +HTTP http://127.0.0.1:\d+\n +gRPC 127.0.0.1:\d+",
        r'^\{"name":"add","versions":\["1"\]',
        r"^stopped: pid \d+$",
        r"unknown model: 'ad' is not found\ndid you mean 'add'\?",
        r"'infre' is no command of %pyserve: did you mean 'infer'\?",
        r"model 'add' is out of service",
    ]
    rest = iter(parts)
    for pattern in wanted:
        assert any(re.search(pattern, part) for part in rest), f"{pattern} not seen, in this order:\n{output}"
    found = re.search(r"engine (\d+)$", output, re.MULTILINE)
    assert found is not None
    assert machine.is_gone(int(found[1]))
