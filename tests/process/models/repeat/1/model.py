"""Answers COUNT times with 0, 1, 2 ..., or for ever when COUNT is negative, until nobody waits any more."""

import itertools

import numpy as np
import triton_python_backend_utils as pb_utils


def text(request, name):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return tensor.as_numpy()[0].decode() if tensor is not None else ""


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            if gate := text(request, "GATE"):
                with open(gate, "rb") as file:
                    file.read()
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            for number in range(count) if count >= 0 else itertools.count():
                if request.is_cancelled():
                    break
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([number], np.int32))]))
            if request.is_cancelled() and (seen := text(request, "SEEN")):
                with open(seen, "w") as file:
                    file.write("cancelled")
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
