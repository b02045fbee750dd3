"""A recorded request with its arrays, from what the engine sends of it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.notebook.arrays import Array
from jupyter_pyserve.v2 import arrays
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.messages import InferRequest
from jupyter_pyserve.v2.parse import parse_infer


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request with its inputs; `parameters` are those of a v2 request, the protocol's own included."""

    request: InferRequest
    inputs: Mapping[str, Array]
    datatypes: Mapping[str, str]
    parameters: Mapping[str, Any]

    @property
    def outputs(self) -> list[str]:
        """The outputs that were asked for; none means all."""
        return [item.name for item in self.request.outputs]


def decode(body: memoryview, header_nbytes: int, model: str) -> RecordedRequest:
    """A recording as the engine sends it: the body of a v2 request."""
    header = bytes(body[:header_nbytes])
    request = parse_infer(header, body_nbytes=body.nbytes, header_nbytes=header_nbytes, model_name=model)
    inputs: dict[str, Array] = {}
    for item in request.inputs:
        data = body[item.offset : item.offset + item.nbytes]
        inputs[item.name] = arrays.from_bytes(data, TABLE[item.datatype], item.shape)
    return RecordedRequest(
        request=request,
        inputs=inputs,
        datatypes={item.name: item.datatype for item in request.inputs},
        parameters={**request.parameters, **_controls(request)},
    )


def _controls(request: InferRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if request.correlation_id not in (0, ""):
        found["sequence_id"] = request.correlation_id
        found["sequence_start"], found["sequence_end"] = bool(request.flags & 1), bool(request.flags & 2)
    if request.priority:
        found["priority"] = request.priority
    if request.timeout_us:
        found["timeout"] = request.timeout_us
    return found
