"""Says of its readiness what the file `opinion` in the directory above says."""

import os

import triton_python_backend_utils as pb_utils

ABOVE = os.path.join(os.path.dirname(__file__), "..")


class TritonPythonModel:
    def execute(self, requests):
        gate = os.path.join(ABOVE, "gate")
        if os.path.exists(gate):
            with open(gate, "rb") as file:
                file.read()
        inputs = [pb_utils.get_input_tensor_by_name(request, "X") for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", item.as_numpy())]) for item in inputs]

    def is_ready(self):
        with open(os.path.join(ABOVE, "opinion")) as file:
            opinion = file.read()
        return {"yes": True, "no": False, "text": "yes"}.get(opinion, True) if opinion != "raise" else 1 / 0
