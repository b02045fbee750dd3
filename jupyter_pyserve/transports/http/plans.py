"""Plans: what an inference header comes to for one model version, worked out once and reused by its bytes.

A plan holds the validated request in the form that the stub takes, and the response heads that were made for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from pyserve_stub.wire.datatypes import NAMES
from pyserve_stub.wire.layout import TensorMeta

from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.v2.infer import InferRequest, OutputValue, render_response
from jupyter_pyserve.v2.plan import RequestPlan, make_request_plan

_MAX_HEADS = 64
#: Parameters of a response that are longer than this are not worth remembering.
_MAX_PARAMETERS = 256


class Target(Protocol):
    """The model version that a plan is for."""

    name: str
    version: int
    signature: Signature


@dataclass(slots=True, kw_only=True)
class Plan(RequestPlan):
    """A request that came over HTTP; `in_body` says that every input lies in the body as it came, and that no output
    goes anywhere but into the answer."""

    in_body: bool
    binary: dict[str, bool]
    binary_default: bool
    #: Outputs that go to a region of the client's.
    regional: frozenset[str]
    model_name: str
    version: str
    cacheable: bool
    heads: dict[bytes, bytes] = field(default_factory=dict)

    def head(
        self, layout: bytes, tensors: Sequence[TensorMeta], views: Sequence[memoryview], parameters: bytes
    ) -> bytes:
        """Everything of a successful response that comes before its binary tensors."""
        key = layout + parameters if parameters else layout  # which says itself where it ends
        known = self.heads.get(key)
        if known is not None:
            return known
        outputs = [
            OutputValue(
                name=name,
                datatype=NAMES[code],
                shape=shape,
                data=None if name in self.regional else view,
                binary=self.binary.get(name, self.binary_default),
            )
            for (name, code, shape), view in zip(tensors, views)
        ]
        body, follows = render_response(
            model_name=self.model_name,
            version=self.version,
            id=self.request.id,
            outputs=outputs,
            parameters=json.loads(parameters) if parameters else None,
        )
        if follows:
            total = len(body) + sum(item.data.nbytes for item in outputs if item.binary and item.data is not None)
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                b"Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n%b" % (len(body), total, body)
            )
        else:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
                len(body),
                body,
            )
        if len(parameters) <= _MAX_PARAMETERS and all(item.binary and item.datatype != "BYTES" for item in outputs):
            if len(self.heads) >= _MAX_HEADS:
                self.heads.clear()
            self.heads[key] = head
        return head

    def binary_views(self, tensors: Sequence[TensorMeta], views: Sequence[memoryview]) -> list[memoryview]:
        """The tensors that follow the JSON."""
        if self.binary_default and not self.binary:
            return [view for view in views if view.nbytes]
        chosen = self.binary
        return [
            view for meta, view in zip(tensors, views) if view.nbytes and chosen.get(meta.name, self.binary_default)
        ]


def make_plan(request: InferRequest, target: Target) -> Plan:
    """Validate a request against a model version; raises `PyServeError` with Triton's text."""
    made = make_request_plan(request, target.signature)
    regional = frozenset(item.name for item in request.outputs if item.region is not None)
    return Plan(
        **{item.name: getattr(made, item.name) for item in fields(made)},
        in_body=not regional
        and all(item.inline is None and item.region is None and not item.lead for item in request.inputs),
        binary={item.name: item.binary for item in request.outputs},
        binary_default=request.binary_data_output,
        regional=regional,
        model_name=target.name,
        version=str(target.version),
        cacheable=all(item.inline is None for item in request.inputs),
    )
