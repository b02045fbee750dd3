"""A model that does what the request says, so that a test decides when and how it misbehaves."""

import ctypes
import json
import logging
import os
import signal
import sys
import time
import warnings

import numpy as np
import triton_python_backend_utils as pb_utils
from puppet_wire import WireDeeds


def enter(path):
    """Say that this request is running, and wait until the test lets it go."""
    with open(path, "rb") as gate:
        gate.read()


class Deeds(WireDeeds):
    """One method a command; `self.data` is the request's array, or None."""

    def __init__(self):
        self.kept = []

    def echo(self, value=None):
        return value

    def pid(self):
        return os.getpid()

    def hold(self, gate):
        enter(gate)
        return os.getpid()

    def exit(self):
        os._exit(3)

    def die(self, number):
        os.kill(os.getpid(), number)
        signal.pause()

    def crash(self):
        ctypes.string_at(0)

    def stop_self(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    def sleep(self, gate):
        enter(gate)
        time.sleep(3600)

    def hold_the_interpreter(self, gate):
        enter(gate)
        ctypes.PyDLL(None).sleep(3600)

    def watch_for_cancel(self, gate, seen):
        enter(gate)
        while not self.request.is_cancelled():
            time.sleep(0.005)
        with open(seen, "w") as file:
            file.write("cancelled")

    def give(self, count):
        self.result = np.zeros(count, np.float32)
        return count

    def plus_one(self):
        self.result = self.data + 1

    def keep(self):
        self.kept.append(self.data)
        return float(self.data.sum())

    def count_kept(self):
        return [float(array.sum()) for array in self.kept]

    def drop(self):
        self.kept.clear()

    def say(self, text):
        print(f"printed {text}")
        print(f"complained {text}", file=sys.stderr)
        logging.getLogger("some.library").warning("logged %s", text)
        warnings.warn(f"warned {text}", stacklevel=1)
        pb_utils.Logger.log_info(f"told {text}")

    def mutter(self, text, gate):
        print(text, end="")
        enter(gate)

    def tell(self, text):
        for level in ("VERBOSE", "INFO", "WARNING", "ERROR"):
            pb_utils.Logger.log(f"{text} {level}", getattr(pb_utils.Logger, level))

    def environment(self):
        with open("/proc/self/environ") as file:
            return [file.read(), dict(os.environ)]

    def load(self):
        return sum(1 for _ in os.scandir("/proc/self/fd"))


class TritonPythonModel:
    def initialize(self, args):
        self.deeds = Deeds()
        self.name = args["model_instance_name"]

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        deeds = self.deeds
        command = json.loads(pb_utils.get_input_tensor_by_name(request, "COMMAND").as_numpy()[0])
        tensor = pb_utils.get_input_tensor_by_name(request, "DATA")
        deeds.request, deeds.result = request, np.zeros(0, np.float32)
        deeds.data = tensor.as_numpy() if tensor is not None else None
        try:
            said = getattr(deeds, command.pop("do"))(**command)
            result = deeds.result
        finally:
            deeds.request = deeds.data = deeds.result = None
        answer = np.array([json.dumps(said).encode()], object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("ANSWER", answer), pb_utils.Tensor("RESULT", result)])

    def finalize(self):
        print(f"finalized {self.name}")
