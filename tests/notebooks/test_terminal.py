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


def session(folder: Path) -> str:
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
    done = subprocess.run(command, cwd=folder, env=kept, input=SESSION, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_session_in_a_terminal(tmp_path: Path) -> None:
    shown = session(tmp_path)
    assert "one of its own is started (http://127.0.0.1:" in shown
    assert f"models in {tmp_path}/model_repository)" in shown
    assert "{'Y': array([5., 6.])}" in shown
    assert re.search(r"shift: READY  in [\d]+ ms", shown), shown
    assert re.search(r"weights +<f8 \[4\] +32 bytes +kernel \d+, shift/shift_0", shown), shown
    assert re.search(r"'lock' is defined neither", shown), shown
    assert "200" in shown
    assert "<table" not in shown
    found = re.search(r"engine (\d+)$", shown, re.MULTILINE)
    assert found is not None
    assert machine.is_gone(int(found[1]))
    assert (tmp_path / "model_repository" / "shift" / "1" / "model.py").is_file()
