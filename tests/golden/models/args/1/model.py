"""VALUE is what initialize() was given under KEY; KEY "*" lists the keys, with the types of the values."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self._args = args

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        key = pb_utils.get_input_tensor_by_name(request, "KEY").as_numpy()[0, 0].decode()
        value = self._args[key] if key != "*" else self._keys()
        return pb_utils.InferenceResponse([pb_utils.Tensor("VALUE", np.array([[value]], dtype=object))])

    def _keys(self):
        return " ".join(f"{key}:{type(value).__name__}" for key, value in sorted(self._args.items()))
