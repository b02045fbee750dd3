"""gRPC with the messages of tritonclient: inference, unary or on a stream, any other method, and what is kept of it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import MessageToDict, ParseDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.golden.case import Call, Rpc
from tests.golden.exchange import GONE, TIMEOUT, Answer
from tests.golden.normalise import shown

_NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1", "INT16": "i2",
    "INT32": "i4", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip


def call(port: int, case: Rpc) -> list[Answer]:
    """One answer for each response, and one for how the call ended."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        requests = [ParseDict(request, service_pb2.ModelInferRequest()) for request in case.requests]
        if case.stream:
            return list(_streamed(stub, requests, case))
        return [answer for request in requests for answer in _unary(stub, request, case)]


def ask(port: int, case: Call) -> Answer:
    """The answer to one call; of another service's, whose messages are not known, its bytes."""
    own = f"{case.method}Request" in service_pb2.DESCRIPTOR.message_types_by_name
    request = ParseDict(case.request, getattr(service_pb2, f"{case.method}Request")()) if own else None
    path = f"/inference.GRPCInferenceService/{case.method}" if own else case.method
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            data: bytes = channel.unary_unary(path)(
                request.SerializeToString() if request is not None else case.raw, metadata=case.metadata, timeout=20
            )
        except grpc.RpcError as error:
            return _ended(error)
    if request is None:
        return {"bytes": data.hex()}
    answer: Answer = MessageToDict(getattr(service_pb2, f"{case.method}Response").FromString(data))
    return answer


def _streamed(stub: Any, requests: list[Any], case: Rpc) -> Iterator[Answer]:
    call = stub.ModelStreamInfer(iter(requests), metadata=case.metadata, timeout=case.timeout_s)
    try:
        for number, message in enumerate(call, start=1):
            answer = _described(message.infer_response)
            yield {"error": message.error_message, **answer} if message.error_message else answer
            if number == case.cancel_after:
                call.cancel()
    except grpc.RpcError as error:
        yield _ended(error)


def _unary(stub: Any, request: Any, case: Rpc) -> Iterator[Answer]:
    try:
        yield _described(stub.ModelInfer(request, metadata=case.metadata, timeout=case.timeout_s))
    except grpc.RpcError as error:
        yield _ended(error)


def _ended(error: Any) -> Answer:
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in error.details():
        return GONE
    return TIMEOUT if code is grpc.StatusCode.DEADLINE_EXCEEDED else {"code": code.name, "details": error.details()}


def _described(response: Any) -> Answer:
    answer: Answer = {}
    if response.id:
        answer["id"] = response.id
    parameters = {name: MessageToDict(value) for name, value in sorted(response.parameters.items())}
    if parameters:
        answer["parameters"] = parameters
    for output, raw in zip(response.outputs, response.raw_output_contents):
        answer[output.name] = shown(output.datatype, list(output.shape), elements(output.datatype, raw))
    return answer


def elements(datatype: str, raw: bytes) -> list[Any]:
    """The elements of a tensor in wire form, flat; text where they are text."""
    if datatype not in (*_NUMPY, "BYTES"):
        return [raw.hex()]
    if datatype != "BYTES":
        values: list[Any] = np.frombuffer(raw, _NUMPY[datatype]).tolist()
        return values
    items = []
    while raw:
        (length,) = struct.unpack_from("<I", raw)
        items.append(raw[4 : 4 + length].decode("utf-8", "backslashreplace"))
        raw = raw[4 + length :]
    return items
