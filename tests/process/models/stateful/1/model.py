"""Adds to the state of a sequence, and keeps nothing itself; a negative number is an error."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        added = pb_utils.get_input_tensor_by_name(request, "ADD").as_numpy()
        if (added < 0).any():
            return pb_utils.InferenceResponse(error=pb_utils.TritonError("negative"))
        total = pb_utils.get_input_tensor_by_name(request, "BEFORE").as_numpy() + added
        return pb_utils.InferenceResponse([pb_utils.Tensor("TOTAL", total), pb_utils.Tensor("AFTER", total)])
