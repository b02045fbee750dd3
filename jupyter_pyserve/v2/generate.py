"""The generate extension: flat JSON in, flat JSON out.

Members that are called like inputs become tensors, all others parameters; nothing in them controls the server. Knows
no transport: whether events or one document are sent is for who sends them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.signature import Signature, TensorSpec
from jupyter_pyserve.v2 import jsonout, limits, members, rapidjson
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputValue, ParameterValue, repeated, request_prefix
from jupyter_pyserve.v2.parameters import value_of
from jupyter_pyserve.v2.parse import pack_json

NOT_ONE_RESPONSE: Final = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates various "
    "number of responses"
)
_NESTED: Final = "parameters"


class _Reading:
    """A request while its members are read."""

    def __init__(self, body: bytes, signature: Signature, max_json_bytes: int) -> None:
        self.body = body
        self.signature = signature
        self.max_json_bytes = max_json_bytes
        self.id = ""
        self.inputs: dict[str, InputRef] = {}
        self.parameters: dict[str, ParameterValue] = {}

    def members(self, given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            if name == "id":
                self.id = members.string({name: value}, name)
            if name == _NESTED:
                self.nested(value)
            else:
                self.member(name, value)

    def nested(self, given: object) -> None:
        if type(given) is not dict:
            members.fail(
                f"Expected JSON object for keyword: '{_NESTED}'", "attempt to access JSON non-object as object"
            )
        try:
            for name, value in given.items():
                self.member(name, value)
        except PyServeError as error:
            raise PyServeError(error.code, f"Converting keyword: '{_NESTED}': {error.message}") from None

    def member(self, name: str, value: object) -> None:
        spec = self.signature.inputs.get(name)
        if spec is None:
            self.parameters[name] = value_of(name, value, self.body)
        elif name in self.inputs:
            raise self.repeated(name)
        else:
            self.inputs[name] = self.tensor(spec, value)

    def tensor(self, spec: TensorSpec, value: object) -> InputRef:
        data = value if type(value) is list else [value]
        shape = _fit(spec, len(data), batched=self.signature.max_batch_size > 0)
        packed = pack_json(data, TABLE[spec.datatype], len(data), spec.name, self.body, self.max_json_bytes)
        return InputRef(
            name=spec.name, datatype=spec.datatype, shape=shape, offset=0, nbytes=len(packed), inline=packed
        )

    def repeated(self, name: str) -> PyServeError:
        return PyServeError(Code.INVALID_ARG, f"{request_prefix(self.id)}input '{name}' already exists in request")


def parse_generate(
    body: bytes, signature: Signature, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES
) -> InferRequest:
    """Reads a request; where it says nothing of shapes, they follow from the model's."""
    limits.check_json_size(len(body), max_json_bytes)
    given = rapidjson.loads(body)
    if type(given) is not dict:
        raise PyServeError(Code.INTERNAL, "attempt to get members for non-object")
    reading = _Reading(body, signature, max_json_bytes)
    reading.members(given)
    if any(body.count(_string(name)) > 1 for name in reading.inputs):
        for name in _repeated(body):
            if name in reading.inputs:
                raise reading.repeated(name)
    return InferRequest(id=reading.id, inputs=tuple(reading.inputs.values()), parameters=reading.parameters)


def render_generate(
    *,
    model_name: str,
    version: str,
    id: str,  # noqa: A002
    outputs: Sequence[OutputValue],
    parameters: Mapping[str, ParameterValue] | None = None,
) -> bytes:
    """A response, its members in the order of their names; a tensor of one element is that element."""
    texts = {name: jsonout.dumps(value) for name, value in (parameters or {}).items()}
    texts["model_name"] = _string(model_name)
    texts["model_version"] = _string(version)
    if id:
        texts["id"] = rapidjson.encode(jsonout.quote(id))  # not remembered: it is the client's, and of any length
    for output in outputs:
        if output.data is not None:
            text = jsonout.tensor(output.datatype, output.data)
            texts[output.name] = text[1:-1] if math.prod(output.shape) == 1 else text
    return b"{%b}" % b",".join([b"%b:%b" % (_string(name), texts[name]) for name in sorted(texts)])


# A stream says the same names with every event.
@functools.lru_cache(maxsize=1024)
def _string(text: str) -> bytes:
    return rapidjson.encode(jsonout.quote(text))


def _fit(spec: TensorSpec, count: int, *, batched: bool) -> tuple[int, ...]:
    """The shape of so many elements: the innermost free dimension takes what the fixed ones leave; a batch is free."""
    dims = (-1, *spec.dims) if batched else spec.dims
    fixed = math.prod(dim for dim in dims if dim != -1)
    free = [index for index, dim in enumerate(dims) if dim == -1]
    if (not fixed or count % fixed) if free else count != fixed:
        message = f"The schema can not convert input '{spec.name}' to tensor with proper shape"
        raise PyServeError(Code.INVALID_ARG, message)
    shape = [1 if dim == -1 else dim for dim in dims]
    if free:
        shape[free[-1]] = count // fixed
    return tuple(shape)


def _repeated(body: bytes) -> Iterator[str]:
    """The members that stand twice in the document itself, in the order in which they do it."""
    pairs: list[tuple[str, object]] = []

    def hook(found: list[tuple[str, object]]) -> None:
        pairs[:] = found  # the outermost object comes last

    with contextlib.suppress(ValueError):  # what only RapidJSON reads has passed already
        json.loads(body, object_pairs_hook=hook)
    return repeated([name for name, _ in pairs])
