"""SEEN lists the inputs that came, with their first element."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        tensors = [pb_utils.get_input_tensor_by_name(request, name) for name in ("A", "B")]
        seen = [f"{tensor.name()}={tensor.as_numpy()[0]}" if tensor else "absent" for tensor in tensors]
        return pb_utils.InferenceResponse([pb_utils.Tensor("SEEN", np.array(seen, dtype=object))])
