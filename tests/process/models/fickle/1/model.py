"""Adds one, if the file `mode` in the directory above lets it get that far; it is read at each stage of a start."""

import os

import triton_python_backend_utils as pb_utils


def obey(stage):
    with open(os.path.join(os.path.dirname(__file__), "..", "mode")) as file:
        wanted, _, deed = file.read().partition(" ")
    if wanted != stage:
        return
    if deed == "raise":
        raise RuntimeError(f"refused to {stage}")
    if deed.startswith("block "):
        with open(deed.partition(" ")[2], "rb") as gate:
            gate.read()
    elif deed == "exit":
        print(f"leaving at {stage}")
        os._exit(7)


obey("import")


class TritonPythonModel:
    def initialize(self, args):
        obey("initialize")

    def execute(self, requests):
        obey("execute")
        inputs = [pb_utils.get_input_tensor_by_name(request, "X") for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", item.as_numpy() + 1)]) for item in inputs]
