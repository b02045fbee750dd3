"""What makes two requests to a model version the same, so that one answer does for both.

Everything that a model can see of a request and may answer by: names, datatypes, shapes and bytes of its inputs, the
outputs that it asks for, its parameters, and where it is in a sequence. Not its id, its priority or its timeout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from jupyter_pyserve.v2.messages import InferRequest

_Buffer = bytes | bytearray | memoryview


class CacheIdentity(NamedTuple):
    """All of it but the bytes of the inputs, and the `order` in which these come."""

    facts: bytes
    order: tuple[int, ...]


def cache_identity(request: InferRequest, outputs: Iterable[str]) -> CacheIdentity:
    """Of a validated request; `outputs` are the model's, which are all asked for where the request names none.

    Texts are written with quotation marks and lengths are given, so that nothing can pass for something else.
    """
    inputs = request.inputs
    order = tuple(sorted(range(len(inputs)), key=lambda index: inputs[index].name))
    tensors = [(item.name, item.datatype, item.shape, item.nbytes) for item in (inputs[index] for index in order)]
    wanted = sorted({item.name for item in request.outputs} or outputs)
    told = sorted(request.parameters.items())
    facts = repr((tensors, wanted, told, request.correlation_id, request.flags))
    return CacheIdentity(facts.encode(), order)


def cache_key(identity: CacheIdentity, data: Iterable[_Buffer]) -> bytes:
    """The key, with the bytes of the inputs in the identity's order: a digest that nobody can aim at."""
    digest = hashlib.sha256(identity.facts)
    for item in data:
        digest.update(item)
    return digest.digest()
