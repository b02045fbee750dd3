"""Does what COMMAND names: one method of a sibling module each, for everything an execute() can do right or wrong."""

import triton_python_backend_utils as pb_utils

from . import failing, giving, telling


class TritonPythonModel:
    def execute(self, requests):
        command = pb_utils.get_input_tensor_by_name(requests[0], "COMMAND").as_numpy()[0].decode()
        for module in (failing, giving, telling):
            if hasattr(module, command):
                return getattr(module, command)(requests)
        raise LookupError(command)
