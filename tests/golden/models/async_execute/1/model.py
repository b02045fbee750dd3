"""execute is a coroutine; a negative first element makes it raise."""

import asyncio

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        await asyncio.sleep(0)
        (request,) = requests
        return [self._answer(request)]

    def _answer(self, request):
        values = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
        if values[0] < 0:
            raise ValueError("negative")
        return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", values)])
