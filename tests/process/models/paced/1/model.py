"""Adds one, in as many lines as a debugger likes; a `breakpoint()` when the first element is negative."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(pb_utils.get_input_tensor_by_name(item, "INPUT0").as_numpy()) for item in requests]

    def answer(self, values):
        total = values + 1
        if values[0] < 0:
            breakpoint()
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", total)])

    def is_ready(self):
        return True
