"""Answers every INPUTi with an equal OUTPUTi."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self._copy(tensor) for tensor in request.inputs()]) for request in requests]

    def _copy(self, tensor):
        return pb_utils.Tensor(tensor.name().replace("INPUT", "OUTPUT"), tensor.as_numpy())
