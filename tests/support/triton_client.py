"""Triton's own HTTP client, unmodified, as a transport of the contract suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from tests.support.transport import Array, Json, Refused, Request

T = TypeVar("T")

#: Enough connections for whatever is asked at the same time.
CONCURRENCY = 16


class TritonClient:
    """`url` has no scheme and may have a path; `headers` go with each request."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._client = triton.InferenceServerClient(url, concurrency=CONCURRENCY, network_timeout=60)
        self._headers = dict(headers or {})

    def close(self) -> None:
        self._client.close()

    def infer(self, request: Request) -> dict[str, Array]:
        return _outputs(self._ask(lambda: self._client.infer(**self._arguments(request))))

    def infer_together(self, requests: Sequence[Request]) -> list[dict[str, Array]]:
        waiting = [self._client.async_infer(**self._arguments(request)) for request in requests]
        return [_outputs(self._ask(each.get_result)) for each in waiting]

    def is_live(self) -> bool:
        return bool(self._client.is_server_live(headers=self._headers))

    def is_ready(self) -> bool:
        return bool(self._client.is_server_ready(headers=self._headers))

    def is_model_ready(self, model: str, version: str = "") -> bool:
        return bool(self._client.is_model_ready(model, version, headers=self._headers))

    def server_metadata(self) -> Json:
        return self._ask(lambda: self._client.get_server_metadata(headers=self._headers))

    def metadata(self, model: str, version: str = "") -> Json:
        return self._ask(lambda: self._client.get_model_metadata(model, version, headers=self._headers))

    def config(self, model: str, version: str = "") -> Json:
        return self._ask(lambda: self._client.get_model_config(model, version, headers=self._headers))

    def statistics(self, model: str = "", version: str = "") -> Json:
        return self._ask(lambda: self._client.get_inference_statistics(model, version, headers=self._headers))[
            "model_stats"
        ]

    def index(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = self._ask(lambda: self._client.get_model_repository_index(headers=self._headers))
        return rows

    def load(self, model: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None) -> None:
        sent = {f"file:{path}": content for path, content in (files or {}).items()} or None
        self._ask(lambda: self._client.load_model(model, headers=self._headers, config=config, files=sent))

    def unload(self, model: str) -> None:
        self._ask(lambda: self._client.unload_model(model, headers=self._headers))

    def _arguments(self, request: Request) -> dict[str, Any]:
        return {
            "model_name": request.model,
            "inputs": [_input(name, array) for name, array in request.inputs.items()],
            "model_version": request.version,
            "outputs": [triton.InferRequestedOutput(name) for name in request.outputs] or None,
            "request_id": request.id,
            "headers": self._headers,
            "parameters": dict(request.parameters) or None,
        }

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except InferenceServerException as error:
            raise Refused(int(error.status()), error.message()) from error


def _input(name: str, array: Array) -> Any:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    datatype = "BF16" if native.dtype.name == "bfloat16" else np_to_triton_dtype(native.dtype)
    tensor = triton.InferInput(name, list(native.shape), datatype)
    tensor.set_data_from_numpy(native)
    return tensor


def _outputs(result: Any) -> dict[str, Array]:
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}
