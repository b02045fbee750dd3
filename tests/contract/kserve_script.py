"""What a KServe SDK sees of a server: run by an interpreter of its own, because the SDK and tritonclient register the
same messages twice. Prints one JSON object.

Arguments: the address of the REST protocol, that of gRPC, and a token or nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL = "identity"


def request(binary: bool, **more: Any) -> InferRequest:
    tensor = InferInput("INPUT0", [1, 3], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2.5, -3]], dtype=np.float32), binary_data=binary)
    return InferRequest(model_name=MODEL, infer_inputs=[tensor], request_id="seven", **more)


def shown(answer: Any) -> Any:
    output = answer.get_output_by_name("OUTPUT0")
    return [answer.id, answer.model_name, output.datatype, output.as_numpy().tolist()]


async def over_rest(url: str, headers: dict[str, str]) -> dict[str, Any]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    wanted = [RequestedOutput("OUTPUT0", {"binary_data": True})]
    found = {
        "live": await client.is_server_live(url, headers=headers),
        "ready": await client.is_server_ready(url, headers=headers),
        "model": await client.is_model_ready(url, MODEL, headers=headers),
        "json": shown(await client.infer(url, request(False), model_name=MODEL, headers=headers)),
        "binary": shown(
            await client.infer(url, request(True, request_outputs=wanted), model_name=MODEL, headers=headers)
        ),
    }
    try:
        await client.infer(url, request(False), model_name="nowhere", headers=headers)
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of it
        found["unknown"] = str(error)
    await client.close()
    return found


async def over_grpc(address: str, headers: dict[str, str]) -> dict[str, Any]:
    client = InferenceGRPCClient(address, retries=0)
    given = tuple((name.lower(), value) for name, value in headers.items())
    found = {
        "live": await client.is_server_live(headers=given),
        "ready": await client.is_server_ready(headers=given),
        "model": await client.is_model_ready(MODEL, headers=given),
        "json": shown(await client.infer(request(False), headers=given)),
        "binary": shown(await client.infer(request(True), headers=given)),
    }
    unknown = request(False)
    unknown.model_name = "nowhere"
    try:
        await client.infer(unknown, headers=given)
    except Exception as error:  # noqa: BLE001 - whatever the SDK makes of it
        found["unknown"] = str(error)
    await client.close()
    return found


async def main(rest: str, grpc: str, token: str = "") -> None:
    headers = {"Authorization": f"token {token}"} if token else {}
    print(json.dumps({"rest": await over_rest(rest, headers), "grpc": await over_grpc(grpc, headers)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
