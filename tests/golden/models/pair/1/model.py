"""SUM = A + B and DIFFERENCE = A - B, the difference appended first."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            a, b = (pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("A", "B"))
            outputs = [pb_utils.Tensor("DIFFERENCE", a - b), pb_utils.Tensor("SUM", a + b)]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
