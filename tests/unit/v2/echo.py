"""A server reduced to the protocol: parses, validates, and echoes every input as the output of the matching name.

The same models were served by Triton when `record_answers.py` wrote down what it answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.model.signature import Signature, TensorSpec
from jupyter_pyserve.v2 import jsonout, metadata
from jupyter_pyserve.v2.infer import (
    InferRequest,
    InputRef,
    OutputValue,
    check_bytes,
    element_count,
    inference_header_length,
    parse_infer,
    raw_infer,
    render_response,
    validate,
)
from jupyter_pyserve.v2.status import http_status
from jupyter_pyserve.v2.tensors import pack_elements

RECORDED = Path(__file__).with_name("recorded_answers.json")
Result = TypeVar("Result")
DATATYPES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`header` is the value of Inference-Header-Content-Length, None where there was none."""

    status: int
    body: bytes
    header: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was sent to a model, and what Triton 2.51 answered."""

    model: str
    body: bytes
    header: str | None
    answer: Answer


def recorded() -> list[Recorded]:
    rows = json.loads(RECORDED.read_text(encoding="ascii"))
    return [
        Recorded(
            model=row["model"],
            body=row["body"].encode("latin-1"),
            header=row.get("header"),
            answer=Answer(status=row["status"], body=row["answer"].encode("latin-1"), header=row.get("answer_header")),
        )
        for row in rows
    ]


def signature(name: str, max_batch_size: int, **tensors: tuple[str, tuple[int, ...]]) -> Signature:
    """Input `I…` is echoed as output `O…`; a datatype ending in `?` makes its input optional, without an output."""
    inputs = {
        key: TensorSpec(name=key, datatype=datatype.rstrip("?"), dims=dims, optional=datatype.endswith("?"))
        for key, (datatype, dims) in tensors.items()
    }
    outputs = {
        key.replace("I", "O"): TensorSpec(name=key.replace("I", "O"), datatype=spec.datatype, dims=spec.dims)
        for key, spec in inputs.items()
        if key != "IC"
    }
    return Signature(model_name=name, max_batch_size=max_batch_size, inputs=inputs, outputs=outputs)


SIGNATURES = {
    model.model_name: model
    for model in (
        *(signature(f"t_{name.lower()}", 0, I=(name, (-1,))) for name in DATATYPES),
        signature("t_string", 0, I=("BYTES", (-1,))),
        signature("t_bf16", 0, I=("BF16", (-1,))),
        signature("ident", 8, I=("FP32", (-1,))),
        signature("two", 8, IA=("FP32", (-1,)), IB=("INT32", (2,))),
        signature("opt", 8, IA=("FP32", (-1,)), IB=("INT32?", (2,)), IC=("INT32?", (2,))),
        signature("nb2", 0, I=("FP32", (2, 2))),
        signature("vv", 0, I=("FP32", (-1, -1))),
        signature("str1", 0, I=("BYTES", (1,))),
        signature("bstr1", 4, I=("BYTES", (1,))),
        # Answers with its request parameters as JSON in one string.
        signature("params", 0, I=("FP32", (-1,))),
    )
}


def answer(model: str, body: bytes, header: str | None) -> Answer:
    try:
        return _answer(SIGNATURES[model], body, None if header is None else header.encode("latin-1"))
    except PyServeError as error:
        return Answer(status=http_status(error.code), body=metadata.error(error.message), header=None)


def outcome(call: Callable[[], Result]) -> Result | PyServeError:
    """What a call returns, or how it refuses; anything else that it raises fails the test."""
    try:
        return call()
    except PyServeError as error:
        return error


def content(tensor: InputRef, body: bytes) -> bytes:
    if tensor.inline is not None:
        return tensor.inline
    return tensor.lead + body[tensor.offset : tensor.offset + tensor.nbytes - len(tensor.lead)]


def _answer(model: Signature, body: bytes, header: bytes | None) -> Answer:
    length = inference_header_length(header, len(body))
    if length == 0 or (length is None and not body):
        request = raw_infer(model, len(body))
    else:
        request = parse_infer(body[:length], body_nbytes=len(body), header_nbytes=length, model_name=model.model_name)
    validate(request, model)
    for tensor in request.inputs:
        if tensor.datatype == "BYTES":
            _check_strings(tensor, body, model, request)
    outputs = _outputs(request, model, body)
    head, follows = render_response(model_name=model.model_name, version="1", id=request.id, outputs=outputs)
    tail = b"".join(bytes(output.data) for output in outputs if output.binary and output.data is not None)
    return Answer(status=200, body=head + tail, header=str(len(head)) if follows else None)


def _check_strings(tensor: InputRef, body: bytes, model: Signature, request: InferRequest) -> None:
    view = memoryview(content(tensor, body))
    count = element_count(tensor, model)
    check_bytes(view, count, name=tensor.name, model_name=model.model_name, request_id=request.id)


def _outputs(request: InferRequest, model: Signature, body: bytes) -> list[OutputValue]:
    if model.model_name == "params":
        data = memoryview(pack_elements([jsonout.dumps(request.parameters)]))
        return [OutputValue(name="O", datatype="BYTES", shape=(1,), data=data, binary=False)]
    listed = {output.name: output.binary for output in request.outputs}
    given = {tensor.name: tensor for tensor in request.inputs}
    return [
        OutputValue(
            name=name.replace("I", "O"),
            datatype=given[name].datatype,
            shape=given[name].shape,
            data=memoryview(content(given[name], body)),
            binary=listed.get(name.replace("I", "O"), request.binary_data_output and not listed),
        )
        for name in model.inputs
        if name in given and name.replace("I", "O") in (listed or model.outputs)
    ]
