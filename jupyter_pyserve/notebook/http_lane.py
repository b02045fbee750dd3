"""Inference over HTTP with the same calls as a lane: for a kernel that is not on the engine's machine.

Owns nothing but the translation; the bytes are `v2.client`'s, the connections `Connection`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import numpy as np

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.arrays import Array, DTypeLike
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.v2.client import decode_infer_response, encode_infer_request
from jupyter_pyserve.v2.request_options import PLAIN, RequestOptions

HEADER_LENGTH = "Inference-Header-Content-Length"


def model_path(name: str, version: str = "") -> str:
    """The v2 path of a model, whatever characters its name has."""
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


class SingleResponse:
    """The one response of a model that is not decoupled; over HTTP there are no others."""

    def __init__(self, answer: dict[str, Array]) -> None:
        self._left = [answer]

    def __iter__(self) -> SingleResponse:
        return self

    def __next__(self) -> dict[str, Array]:
        if not self._left:
            raise StopIteration
        return self._left.pop()

    def __aiter__(self) -> SingleResponse:
        return self

    async def __anext__(self) -> dict[str, Array]:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()

    def close(self) -> None:
        """Nothing is under way."""


class HttpLane:
    """What `transports.lane.client.Lane` offers, with a copy each way instead of shared memory."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def infer(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> dict[str, Array]:
        header, blobs = encode_infer_request(
            inputs, options.outputs, id=options.request_id, parameters=options.parameters
        )
        try:
            reply = self._connection.request(
                "POST",
                model_path(model, options.version) + "/infer",
                [header, *blobs],
                {HEADER_LENGTH: str(len(header)), "Content-Type": "application/octet-stream"},
                timeout_s=options.timeout_s,
            ).checked()
        except PyServeError as error:
            if isinstance(error.__cause__, TimeoutError):  # which is the model's, as on a lane
                raise error.__cause__ from None
            raise
        length = reply.headers.get(HEADER_LENGTH)
        answer: dict[str, Array] = decode_infer_response(reply.body, None if length is None else int(length))
        return answer

    def infer_async(
        self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN
    ) -> asyncio.Future[dict[str, Array]]:
        return asyncio.ensure_future(asyncio.to_thread(self.infer, model, inputs, options))

    def stream(self, model: str, inputs: Mapping[str, Array], options: RequestOptions = PLAIN) -> SingleResponse:
        return SingleResponse(self.infer(model, inputs, options))

    def empty(self, shape: int | Sequence[int], dtype: DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def asarray(self, a: Array) -> Array:
        return np.asarray(a)

    def close(self) -> None:
        self._connection.close()
