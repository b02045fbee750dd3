"""What a request comes to for one model version: validated, and in the form that a stub is sent it.

Worked out once and shared by equal requests. Must not know where a request's bytes are, or who waits for the answer.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pyserve_stub.wire.datatypes import BYTES, CODES
from pyserve_stub.wire.frames import encode_meta
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.model.reshaping import reshaped
from jupyter_pyserve.model.signature import Signature
from jupyter_pyserve.v2 import jsonout
from jupyter_pyserve.v2.cache_key import CacheIdentity
from jupyter_pyserve.v2.classification import Classification
from jupyter_pyserve.v2.messages import InferRequest, InputRef
from jupyter_pyserve.v2.validate import batch_size, validate


@dataclass(slots=True, kw_only=True)
class RequestPlan:
    """A validated request; `strings` are the indices of inputs whose bytes have still to be looked at."""

    request: InferRequest
    meta: bytes
    layout: bytes
    batch_size: int
    #: Requests with equal keys may share a batch.
    shape_key: Hashable
    strings: tuple[int, ...]
    #: What is wanted in place of outputs' values.
    classification: Classification | None
    #: What equal requests have in common beside their bytes; worked out when an answer is kept.
    cache_identity: CacheIdentity | None = None


def make_request_plan(request: InferRequest, signature: Signature) -> RequestPlan:
    """Validate a request against a model version; raises `PyServeError` with Triton's text."""
    validate(request, signature)
    metas = [TensorMeta(item.name, CODES[item.datatype], seen_shape(item, signature)) for item in request.inputs]
    return RequestPlan(
        request=request,
        meta=encode_facts(request, signature),
        layout=encode_layout(metas),
        batch_size=batch_size(request, signature),
        shape_key=_shape_key(request, signature),
        strings=tuple(
            index
            for index, item in reversed(list(enumerate(request.inputs)))  # as in `validate`
            if CODES[item.datatype] == BYTES and item.inline is None
        ),
        classification=Classification.wanted(request, signature),
    )


def seen_shape(item: InputRef, signature: Signature) -> tuple[int, ...]:
    """The shape that the model sees."""
    spec = signature.inputs[item.name]
    if spec.reshape is None:
        return item.shape
    shape = reshaped(item.shape, spec.dims, spec.reshape, batched=signature.max_batch_size > 0)
    return item.shape if shape is None else shape


def encode_facts(request: InferRequest, signature: Signature) -> bytes:
    """What the stub is told of a request beside its tensors."""
    fields: dict[str, Any] = {"outputs": [item.name for item in request.outputs] or list(signature.outputs)}
    if request.id:
        fields["id"] = request.id
    if request.correlation_id:
        fields["correlation_id"] = request.correlation_id
    if request.flags:
        fields["flags"] = request.flags
    if request.timeout_us:
        fields["timeout_us"] = request.timeout_us
    if request.parameters:
        fields["parameters"] = jsonout.dumps(request.parameters).decode("utf-8", "surrogateescape")
    return encode_meta(**fields)


def with_window(meta: bytes, window: int) -> bytes:
    """The same facts, for a request of whose responses only so many may be on their way."""
    return encode_meta(**json.loads(meta), window=window)


def _shape_key(request: InferRequest, signature: Signature) -> Hashable:
    skip = 1 if signature.max_batch_size > 0 else 0
    shapes = {item.name: item.shape[skip:] for item in request.inputs}
    return frozenset(shapes), tuple(shapes.get(name) for name in signature.batch_keys)
