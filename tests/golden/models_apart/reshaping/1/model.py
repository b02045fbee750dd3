import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Gives its input back, and the shape that it had; in one row if a parameter asks for that."""

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        value = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        scalar = pb_utils.get_input_tensor_by_name(request, "SCALAR")
        given = value.reshape(len(value), -1) if "flat" in request.parameters() else value
        outputs = [
            pb_utils.Tensor("OUTPUT0", given),
            pb_utils.Tensor("SHAPE", np.array([value.shape] * len(value), np.int32)),
        ]
        if scalar is not None:
            outputs.append(pb_utils.Tensor("SCALAR_OUT", scalar.as_numpy()))
        return pb_utils.InferenceResponse(outputs)
