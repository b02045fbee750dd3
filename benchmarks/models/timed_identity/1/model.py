"""OUTPUT0 = INPUT0, and SECONDS: how long that took in here."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            begun = time.perf_counter()
            values = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            output = pb_utils.Tensor("OUTPUT0", values)
            seconds = pb_utils.Tensor("SECONDS", np.array([time.perf_counter() - begun]))
            responses.append(pb_utils.InferenceResponse([output, seconds]))
        return responses
