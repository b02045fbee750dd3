"""For tests of models, without a server: what a model has sent through the response sender of a request.

A test makes its requests with `pb_utils.InferenceRequest` and calls `execute` itself. Knows nothing of the engine.
"""

from __future__ import annotations

from typing import cast

from pyserve_stub.collected import Collected
from pyserve_stub.streams import InferenceResponseSender
from triton_python_backend_utils import InferenceRequest, InferenceResponse


def sent(request: InferenceRequest) -> list[InferenceResponse]:
    """What was sent so far, each with its data as it was then."""
    return _shown(_collected(request))


def finished(request: InferenceRequest) -> bool:
    """Whether FINAL was sent."""
    return _collected(request).final


def responses(request: InferenceRequest, timeout_s: float = 10.0) -> list[InferenceResponse]:
    """Everything that was sent, once FINAL was; threads and coroutines of the model have `timeout_s` for it."""
    collected = _collected(request)
    if not collected.wait(timeout_s):
        count = len(collected.responses)
        raise TimeoutError(
            f"the model sent {count} responses, but not TRITONSERVER_RESPONSE_COMPLETE_FINAL within {timeout_s:g} s"
        )
    return _shown(collected)


def _collected(request: InferenceRequest) -> Collected:
    sender = cast(InferenceResponseSender, request.get_response_sender())
    collected = sender._collected
    if collected is None:
        raise ValueError("what this request is sent goes to a server")
    return collected


def _shown(collected: Collected) -> list[InferenceResponse]:
    return cast("list[InferenceResponse]", collected.responses)
