"""Its scripts are coroutines."""

from .scripted import TritonPythonModel as Scripted
from .scripted import pb_utils, scripted


class TritonPythonModel(Scripted):
    async def execute(self, requests):
        source = pb_utils.get_input_tensor_by_name(requests[0], "SCRIPT").as_numpy().flatten()[0].decode()
        return await scripted(source, "async def")(self, requests, requests[0])
