"""Triton's own gRPC client, unmodified, as a transport of the contract suite."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from jupyter_pyserve.model.render import to_tree
from tests.support.transport import Array, Json, Refused, Request

T = TypeVar("T")

#: What the status of a call would be over HTTP.
_HTTP_STATUS = {
    "StatusCode.CANCELLED": 400,
    "StatusCode.UNKNOWN": 400,
    "StatusCode.INVALID_ARGUMENT": 400,
    "StatusCode.NOT_FOUND": 404,
    "StatusCode.ALREADY_EXISTS": 400,
    "StatusCode.UNIMPLEMENTED": 501,
    "StatusCode.INTERNAL": 500,
    "StatusCode.UNAVAILABLE": 503,
}


class TritonGrpcClient:
    """`url` is host and port; `headers` go with each request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._client = triton.InferenceServerClient(url)
        self._headers = dict(headers or {})

    def close(self) -> None:
        self._client.close()

    def infer(self, request: Request) -> dict[str, Array]:
        return outputs(self._ask(lambda: self._client.infer(**self._arguments(request))))

    def infer_together(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        with ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(self.infer, requests))

    def is_live(self) -> bool:
        return bool(self._client.is_server_live(headers=self._headers))

    def is_ready(self) -> bool:
        return bool(self._client.is_server_ready(headers=self._headers))

    def is_model_ready(self, model: str, version: str = "") -> bool:
        try:
            return bool(self._client.is_model_ready(model, version, headers=self._headers))
        except InferenceServerException as error:
            if error.status() != "StatusCode.NOT_FOUND":
                raise
            return False

    def server_metadata(self) -> Json:
        return to_tree(self._ask(lambda: self._client.get_server_metadata(headers=self._headers)))

    def metadata(self, model: str, version: str = "") -> Json:
        return to_tree(self._ask(lambda: self._client.get_model_metadata(model, version, headers=self._headers)))

    def config(self, model: str, version: str = "") -> Json:
        return to_tree(self._ask(lambda: self._client.get_model_config(model, version, headers=self._headers)).config)

    def statistics(self, model: str = "", version: str = "") -> Json:
        found = self._ask(lambda: self._client.get_inference_statistics(model, version, headers=self._headers))
        return to_tree(found)["model_stats"]

    def index(self) -> list[dict[str, str]]:
        found = self._ask(lambda: self._client.get_model_repository_index(headers=self._headers))
        return [{key: value for key, value in to_tree(row).items() if value} for row in found.models]

    def load(self, model: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        sent = {f"file:{path}": content for path, content in (files or {}).items()} or None
        self._ask(lambda: self._client.load_model(model, headers=self._headers, config=config, files=sent))

    def unload(self, model: str) -> None:
        self._ask(lambda: self._client.unload_model(model, headers=self._headers))

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {**arguments(request), "headers": self._headers}

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except InferenceServerException as error:
            raise Refused(_HTTP_STATUS[error.status()], error.message()) from error


def arguments(request: Request) -> dict[str, Any]:
    """What the client's `infer` is called with."""
    return {
        "model_name": request.model,
        "inputs": [to_input(name, array) for name, array in request.inputs.items()],
        "model_version": request.version,
        "outputs": [triton.InferRequestedOutput(name) for name in request.outputs] or None,
        "request_id": request.id,
        "parameters": dict(request.parameters) or None,
    }


def outputs(result: Any) -> dict[str, Array]:
    """The tensors of an answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def to_input(name: str, array: Array) -> Any:
    """A tensor as the client sends it."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    datatype = "BF16" if native.dtype.name == "bfloat16" else np_to_triton_dtype(native.dtype)
    tensor = triton.InferInput(name, list(native.shape), datatype)
    tensor.set_data_from_numpy(native)
    return tensor
