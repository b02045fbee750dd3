"""A model that runs the code in its request, so that what a model asks of others stands beside what is expected."""

# ruff: noqa: F401
import asyncio
import gc
import json
import os
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils


def enter(path):
    """Say that this request is running, and wait until the test lets it go."""
    with open(path, "rb") as gate:
        gate.read()


OPTIONS = {
    *("correlation_id", "flags", "inputs", "model_version", "parameters", "preferred_memory", "request_id"),
    *("requested_output_names", "timeout", "trace"),
}


def request_to(model, data=None, do="", **arguments):
    """A request that makes another model of this kind, or a puppet, do something."""
    options = {name: arguments.pop(name) for name in list(arguments) if name in OPTIONS}
    inputs = [pb_utils.Tensor("COMMAND", np.array([json.dumps({"do": do, **arguments}).encode()], object))]
    if data is not None:
        inputs.append(data if isinstance(data, pb_utils.Tensor) else pb_utils.Tensor("DATA", np.asarray(data, "f4")))
    options.setdefault("requested_output_names", ["ANSWER", "RESULT"])
    return pb_utils.InferenceRequest(model_name=model, inputs=options.pop("inputs", inputs), **options)


def said(response):
    """What a model of this kind answered; its error, if it is one."""
    if response.has_error():
        return f"{response.error().code().name}: {response.error().message()}"
    return json.loads(pb_utils.get_output_tensor_by_name(response, "ANSWER").as_numpy()[0])


def array(response, name="RESULT"):
    """One of its arrays."""
    return pb_utils.get_output_tensor_by_name(response, name).as_numpy()


CALLED = []


def called(*arguments):
    """What a script has put there; a pool of processes wants a function of a module."""
    return CALLED[0](*arguments)


class TritonPythonModel:
    def initialize(self, args):
        self.kept = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        command = json.loads(pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy()[0])
        tensor = pb_utils.get_input_tensor_by_name(request, "DATA")
        code = command.pop("do")
        scope = dict(globals(), request=request, tensor=tensor, kept=self.kept, result=None, **command)
        exec(compile(code, "script", "exec"), scope)
        answer = np.array([json.dumps(scope["result"]).encode()], object)
        output = scope.get("output", np.zeros(0, np.float32))
        if not isinstance(output, pb_utils.Tensor):
            output = pb_utils.Tensor("RESULT", output)
        del scope
        gc.collect()  # functions of the script refer to it
        return pb_utils.InferenceResponse([pb_utils.Tensor("ANSWER", answer), output])
