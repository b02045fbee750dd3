"""Running a recorded request again in this kernel, with this kernel's frames, breakpoints and `%debug`.

The model is made anew from its text and initialised with what it was given. What it asks of other models, the engine
that serves them is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from pyserve_stub.host import OfflineHost, get_host, set_host
from pyserve_stub.loader import set_model_dir
from pyserve_stub.messages import InferenceRequest, InferenceResponse, Tensor, TritonError

from jupyter_pyserve import testing
from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.client import Client
from jupyter_pyserve.notebook.debugging import origins
from jupyter_pyserve.notebook.debugging.fetched import RecordedRequest
from jupyter_pyserve.notebook.debugging.placing import Places, places_in, places_of, run_module
from jupyter_pyserve.notebook.debugging.recorded import Replay
from jupyter_pyserve.notebook.payloads import RecordedModel
from jupyter_pyserve.v2.request_options import RequestOptions

CLASS = "TritonPythonModel"


class KernelHost(OfflineHost):
    """A model's host in a kernel: other models are called where they are served."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def bls(self, request: InferenceRequest, decoupled: bool) -> Any:
        """A request to another model. What fails is in the response, as in a stub."""
        if decoupled:
            return iter(self._called(request, self._client.stream))
        return self._called(request, lambda *given: [self._client.infer(*given)])[0]

    def async_bls(self, request: InferenceRequest, decoupled: bool) -> Any:
        """The same for the running event loop."""
        return asyncio.ensure_future(asyncio.to_thread(self.bls, request, decoupled))

    def is_model_ready(self, name: str, version: str) -> bool:
        """Whether the engine would answer it."""
        return self._client.model(name, version or None).ready

    def _called(self, request: InferenceRequest, call: Any) -> list[InferenceResponse]:
        version = "" if request._model_version in (-1, 0) else str(request._model_version)
        parameters = json.loads(request.parameters() or "{}")
        inputs = {item.name(): item.as_numpy() for item in request.inputs()}
        outputs = tuple(sorted(request.requested_output_names()))
        options = RequestOptions(version=version, outputs=outputs, parameters=parameters)
        try:
            answers = list(call(request._model_name, inputs, options))
        except PyServeError as error:
            return [InferenceResponse([], TritonError(error.message))]
        return [InferenceResponse([Tensor(name, array) for name, array in item.items()]) for item in answers]


def replay_here(name: str, recorded: RecordedRequest, told: RecordedModel, client: Client) -> Replay:
    """Run it; what the model raises is raised here, by the model's own frames."""
    __tracebackhide__ = True
    config = json.loads(told["args"]["model_config"])
    decoupled = config.get("model_transaction_policy", {}).get("decoupled") is True
    version_dir = os.path.dirname(told["model_file"])
    with _as_if_served(KernelHost(client), version_dir):
        module = run_module(told["source"], _places(told, name), told["model_file"])
        model = getattr(module, CLASS)()
        if hasattr(model, "initialize"):
            model.initialize(dict(told["args"]))
        request = _request(recorded, told, config)
        request._decoupled = decoupled
        answer = model.execute([request])
        if asyncio.iscoroutine(answer):
            answer = _awaited(answer)
        sent = answer is None or list(answer) == [None]
        responses: list[Any] = testing.responses(cast(Any, request)) if sent else list(answer)
        if hasattr(model, "finalize"):
            model.finalize()
    return _shown(name, responses)


def _shown(name: str, responses: Sequence[InferenceResponse]) -> Replay:
    errors = [error.message() for item in responses if (error := item.error()) is not None]
    outputs = [
        {tensor.name(): tensor.as_numpy() for tensor in item.output_tensors()}
        for item in responses
        if not item.has_error()
    ]
    return Replay(name, outputs, "\n".join(errors), where="in this kernel")


def _places(told: RecordedModel, name: str) -> Places:
    shown = places_in(told["model_file"], told["source"], f"<model.py of {name}>")
    source = origins.source_of(told["source"])
    return shown if source is None else places_of(source, shown(1)[0])


def _request(recorded: RecordedRequest, told: RecordedModel, config: Mapping[str, Any]) -> InferenceRequest:
    request, args, shapes = recorded.request, told["args"], told["shapes"]
    return InferenceRequest(
        request_id=request.id,
        correlation_id=request.correlation_id,
        inputs=[Tensor(name, array.reshape(shapes[name])) for name, array in recorded.inputs.items()],
        requested_output_names=recorded.outputs or [item["name"] for item in config.get("output", [])],
        model_name=args["model_name"],
        model_version=int(args["model_version"]),
        flags=request.flags,
        timeout=request.timeout_us,
        parameters=cast("dict[str, Any]", dict(request.parameters)),
    )


def _awaited(answer: Any) -> Any:
    """In a thread: this one may have a loop that runs."""
    __tracebackhide__ = True
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, answer).result()


@contextlib.contextmanager
def _as_if_served(host: KernelHost, version_dir: str) -> Iterator[None]:
    """The model finds its host, and its neighbours on `sys.path`."""
    before, path = get_host(), list(sys.path)
    set_host(host)
    set_model_dir(version_dir)
    sys.path += [version_dir, os.path.dirname(version_dir)]
    try:
        yield
    finally:
        sys.path[:] = path
        set_host(before)
