"""Debugging from a real kernel: a failed request runs again in it; its own debugger stops in the model's process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.process.engine import Engine
from tests.process.notebook_kernel import Kernel, kernel_of
from tests.process.waiting import wait_until

HELPER = """FACTOR = 4
def share_of(x):
    return x / FACTOR if x.sum() else 1 // 0
"""
MODEL = """%%pyserve model {name} --input X:FP32:-1 --output Y:FP32:-1 --deploy
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
            y = share_of(x)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", y.astype(np.float32))]))
        return responses
"""


@pytest.fixture
def kernel(engine: Engine) -> Iterator[Kernel]:
    with kernel_of(engine) as kernel:
        yield kernel


def call(name: str, values: str) -> str:
    return f"pyserve.model('{name}')(X=np.array({values}, 'f'))"


def attach(kernel: Kernel, cell: str, line: int) -> str:
    """Turn the debugger on, with a breakpoint in a cell, as JupyterLab does; the cell's file."""
    kernel.debug("initialize", clientID="jupyterlab", adapterID="", pathFormat="path", linesStartAt1=True)
    kernel.debug("attach")
    path: str = kernel.debug("dumpCell", code=cell)["sourcePath"]
    kernel.debug("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}], sourceModified=False)
    kernel.debug("configurationDone")
    return path


def test_a_failed_request_runs_again_in_the_kernel(kernel: Kernel) -> None:
    kernel.run(HELPER)
    assert "READY" in kernel.run(MODEL.format(name="replayed"))
    assert "ZeroDivisionError" in kernel.run(call("replayed", "[0]"))
    (line,) = kernel.run("%pyserve record replayed").splitlines()[1:]
    name, version, *_ = line.split()
    assert (version, line.split("  ")[-1].strip()) == ("1", "ZeroDivisionError: integer division or modulo by zero")
    shown = kernel.run(f"%pyserve replay {name}")
    assert "Cell In[3], line 10, in TritonPythonModel.execute(self, requests)" in shown
    assert "---> 10             y = share_of(x)" in shown
    assert "Cell In[2], line 3, in share_of(x)" in shown
    assert "jupyter_pyserve" not in shown, "none of our own lines"
    frames = "import sys, traceback; *_, (frame, _) = traceback.walk_tb(sys.last_traceback); print(frame.f_locals['x'])"
    assert kernel.run(frames).strip() == "[0.]", "the frames are alive, for %debug"
    served = kernel.run(f"%pyserve replay {name} --serve")
    assert "PyServeError: Failed to process the request(s)" in served


def test_a_request_that_was_answered_is_answered_again(kernel: Kernel) -> None:
    kernel.run(HELPER)
    kernel.run(MODEL.format(name="answered"))
    assert "all requests of model 'answered' are kept" in kernel.run("%pyserve record answered --mode all")
    kernel.run(call("answered", "[8]"))
    kernel.run("found = pyserve.recordings('answered')[-1]['id']")
    assert kernel.run("pyserve.replay(found)['Y'].tolist()") == "[2.0]"
    assert kernel.run("pyserve.replay(found, serve=True).responses[0]['Y'].tolist()") == "[2.0]"


def test_the_kernel_s_own_debugger_stops_in_the_model_s_process(kernel: Kernel) -> None:
    kernel.run(HELPER)
    kernel.run(MODEL.format(name="stopped"))
    assert "JupyterLab: turn on the debugger" in kernel.run("%pyserve debug stopped")
    cell = attach(kernel, MODEL.format(name="stopped"), 11)
    asked = kernel.start(call("stopped", "[8]"))
    stopped = kernel.debug_event("stopped")
    frame = kernel.debug("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
    assert (frame["source"]["path"], frame["line"], frame["name"]) == (cell, 11, "execute")
    assert kernel.debug("evaluate", expression="y.tolist()", frameId=frame["id"])["result"] == "[2.0]"
    kernel.debug("continue", threadId=stopped["threadId"])
    assert "array([2.]" in kernel.shown(asked)
    assert "turn it off first" in kernel.run("%pyserve debug stopped --stop")
    kernel.debug("disconnect", restart=False, terminateDebuggee=False)
    assert "replaced by a process that nobody debugs" in kernel.run("%pyserve debug stopped --stop")
    assert "array([2.]" in kernel.run(call("stopped", "[8]"))


def test_a_process_that_ends_at_a_breakpoint_leaves_the_kernel_s_debugger_usable(
    kernel: Kernel, engine: Engine
) -> None:
    kernel.run(HELPER)
    kernel.run(MODEL.format(name="killed"))
    kernel.run("%pyserve debug killed")
    attach(kernel, MODEL.format(name="killed"), 11)
    asked = kernel.start(call("killed", "[8]"))
    kernel.debug_event("stopped")
    os.kill(engine.pids("killed")[0], signal.SIGKILL)
    assert "is not healthy" in kernel.shown(asked)
    kernel.debug("disconnect", restart=False, terminateDebuggee=False)
    wait_until(lambda: engine.ready("killed"), "it runs again")
    assert "no process of model 'killed' was being debugged" in kernel.run("%pyserve debug killed --stop")
    assert "array([2.]" in kernel.run(call("killed", "[8]"))


def test_the_kernel_s_own_debugger_stops_in_a_replay(kernel: Kernel) -> None:
    kernel.run(HELPER)
    kernel.run(MODEL.format(name="again"))
    kernel.run(call("again", "[0]"))
    cell = attach(kernel, HELPER, 3)
    asked = kernel.start("pyserve.replay(pyserve.recordings('again')[0]['id'])")
    stopped = kernel.debug_event("stopped")
    frames = kernel.debug("stackTrace", threadId=stopped["threadId"])["stackFrames"]
    assert (frames[0]["source"]["path"], frames[0]["line"], frames[0]["name"]) == (cell, 3, "share_of")
    assert (frames[1]["line"], frames[1]["name"]) == (10, "execute")
    kernel.debug("continue", threadId=stopped["threadId"])
    assert "ZeroDivisionError" in kernel.shown(asked)
    kernel.debug("disconnect", restart=False, terminateDebuggee=False)
