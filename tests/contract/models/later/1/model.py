"""execute returns None at once; another thread answers with the input doubled, or with an error when it is empty."""

import threading

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            values = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            threading.Thread(target=self._answer, args=(request.get_response_sender(), values)).start()

    def _answer(self, sender, values):
        if values.size:
            response = pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", values * 2)])
        else:
            response = pb_utils.InferenceResponse([], pb_utils.TritonError("nothing to double"))
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
