"""A model that keeps a total for each sequence and says all that it was shown; commands make it wait or come again."""

import json
import os

import numpy as np
import triton_python_backend_utils as pb_utils

CONTROLS = ("START", "END", "READY", "CORRID")


def plain(request, name):
    """A control tensor as what stands in it, with its datatype and shape; None when there is none."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    array = tensor.as_numpy()
    value = array.ravel()[0]
    return [value.decode() if isinstance(value, bytes) else value.item(), str(array.dtype), list(array.shape)]


class TritonPythonModel:
    def initialize(self, args):
        self.totals = {}
        self.passes = {}

    def execute(self, requests):
        batch = [self.shown(request) for request in requests]
        return [self.answer(request, batch) for request in requests]

    def shown(self, request):
        controls = {name: plain(request, name) for name in CONTROLS}
        return {"id": request.correlation_id(), "flags": request.flags(), **controls}

    def answer(self, request, batch):
        element = pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy().ravel()[0]
        command = json.loads(element) if element else {}
        sequence = request.correlation_id()
        if request.flags() & pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START:
            self.totals[sequence] = 0
            self.passes[sequence] = []
        passes = self.passes.setdefault(sequence, [])
        passes.append(request.flags())
        if "gate" in command and len(passes) == command.get("at", len(passes)):
            with open(command["gate"], "rb") as gate:
                gate.read()
        if "fail" in command:
            raise ValueError(command["fail"])
        self.totals[sequence] = self.totals.get(sequence, 0) + command.get("add", 0)
        if len(passes) < command.get("passes", 0):
            request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            return None
        said = {"total": self.totals[sequence], "batch": batch, "pid": os.getpid(), "passes": passes}
        answer = np.array([[json.dumps(said).encode()]], object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("ANSWER", answer)])
