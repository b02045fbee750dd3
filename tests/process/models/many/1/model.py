"""A decoupled model: what it sends, and how it ends, is what the request says."""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def response(number):
    answer = np.array([json.dumps(None).encode()], object)
    result = np.array([number], np.float32)
    return pb_utils.InferenceResponse([pb_utils.Tensor("ANSWER", answer), pb_utils.Tensor("RESULT", result)])


def failure(text, code):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(text, code))


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            command = json.loads(pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy()[0])
            data = pb_utils.get_input_tensor_by_name(request, "DATA")
            sender = request.get_response_sender()
            getattr(self, command.pop("do"))(request, sender, int(data.as_numpy()[0]), **command)

    def count(self, request, sender, count):
        for number in range(count):
            sender.send(response(number))
        sender.send(flags=FINAL)

    def last(self, request, sender, count):
        for number in range(count):
            sender.send(response(number), flags=FINAL if number + 1 == count else 0)

    def nothing(self, request, sender, count):
        sender.send(flags=FINAL)

    def fail(self, request, sender, count):
        for number in range(count):
            sender.send(response(number))
        sender.send(failure("enough", pb_utils.TritonError.UNAVAILABLE), flags=FINAL)

    def until_cancelled(self, request, sender, count):
        sender.send(response(0))
        while not request.is_cancelled():
            time.sleep(0.002)
        sender.send(failure("stopped", pb_utils.TritonError.CANCELLED), flags=FINAL)

    def hold(self, request, sender, count, gate):
        sender.send(response(0))
        with open(gate, "rb") as file:
            file.read()
        sender.send(flags=FINAL)
