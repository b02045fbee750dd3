"""Inference over a gRPC connection to a model that answers when a test says so."""

from __future__ import annotations

import struct
from typing import Any, cast

from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.job import Job, Response
from jupyter_pyserve.errors import Code
from jupyter_pyserve.model.messages import service_messages
from jupyter_pyserve.settings import GrpcSettings
from jupyter_pyserve.transports.grpc.server import GrpcServer
from tests.unit.transports.grpc.fakes import Client, messages_of
from tests.unit.transports.http.fakes import FakeServable, FakeService

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
TWO = struct.pack("<2f", 0.5, 2)

messages = service_messages()


def asking(text: str = "", *, model: str = "m", raw: bytes = TWO, empty_final: bool = False) -> bytes:
    """A request as a message."""
    made = messages.ModelInferRequest(model_name=model, id=text, raw_input_contents=[raw])
    made.inputs.add(name="IN", datatype="FP32", shape=[len(raw) // 4])
    if empty_final:
        made.parameters["triton_enable_empty_final_response"].bool_param = True
    return bytes(made.SerializeToString())


class Asker(Client):
    """A client of a server that knows one model, or several of the same kind."""

    def __init__(self, *models: FakeServable, settings: GrpcSettings | None = None, token: str = "") -> None:
        self.servable = models[0]
        service: Any = FakeService(self.servable)
        if len(models) > 1:
            service.lookup = lambda name, version="": next(item for item in models if item.name == name)
        super().__init__(GrpcServer(service, settings or GrpcSettings(), token))

    async def single(self, stream: int) -> tuple[Any, dict[str, str]]:
        """The answer of ModelInfer, and the trailers."""
        found, trailers = await self.answer(stream)
        assert len(found) <= 1
        return (messages.ModelInferResponse.FromString(found[0]) if found else None), trailers

    async def several(self, stream: int) -> list[Any]:
        """What has come on a stream since the last time."""
        body = b"".join(frame.payload for frame in await self.frames() if frame.stream == stream and frame.kind == 0)
        return [messages.ModelStreamInferResponse.FromString(item) for item in messages_of(body)]


def respond(
    servable: FakeServable, job: Job, *, final: bool = True, bare: bool = False, parameters: bytes = b""
) -> None:
    """Answer a job with its own input."""
    metas = () if bare else (TensorMeta("OUT", CODES["FP32"], (2,)),)
    where = () if bare else job.descriptors
    lender = cast(Any, servable.instance)
    layout = encode_layout(metas)
    job.sink.deliver(job, Response(job, None, "", layout, metas, where, parameters, lender, final=final, bare=bare))


def fail(job: Job, code: Code, text: str, *, final: bool = True) -> None:
    job.sink.deliver(job, Response(job, code=code, text=text, final=final))
