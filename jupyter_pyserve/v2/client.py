"""The client's side of inference: arrays to a request, a response to arrays.

The inverse of `parse` and `render`; sends nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import arrays, jsonout, members
from jupyter_pyserve.v2.arrays import Array
from jupyter_pyserve.v2.datatypes import Datatype, lookup
from jupyter_pyserve.v2.messages import (
    FLAG_SEQUENCE_END,
    FLAG_SEQUENCE_START,
    InferRequest,
    OutputRef,
    ParameterValue,
)


def encode_infer_request(
    inputs: Mapping[str, Array],
    outputs: Sequence[str] = (),
    id: str = "",  # noqa: A002
    parameters: Mapping[str, ParameterValue] | None = None,
    *,
    correlation_id: int | str = 0,
    flags: int = 0,
    priority: int = 0,
    timeout_us: int = 0,
    datatypes: Mapping[str, str] | None = None,
) -> tuple[bytes, list[memoryview]]:
    """The JSON part and the binary parts that follow it, one for each input; all outputs are asked for in binary form.

    `datatypes` names the datatype of inputs whose arrays do not tell, such as BF16 given as its bits in uint16.
    """
    controls = _controls(correlation_id, flags, priority, timeout_us)
    entries: list[dict[str, Any]] = []
    blobs: list[memoryview] = []
    for name, array in inputs.items():
        given = (datatypes or {}).get(name)
        datatype = arrays.datatype_of(array) if given is None else lookup(given)
        if datatype is None:
            raise PyServeError(Code.INVALID_ARG, f"invalid datatype for input {name}")
        blob = arrays.to_bytes(array, datatype)
        blobs.append(blob)
        entries.append(
            {
                "name": name,
                "datatype": datatype.name,
                "shape": list(array.shape),
                "parameters": {"binary_data_size": blob.nbytes},
            }
        )
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    request: dict[str, Any] = {"id": id} if id else {}
    request["parameters"] = {**(parameters or {}), **controls, "binary_data_output": True}
    request["inputs"] = entries
    if wanted:
        request["outputs"] = wanted
    return jsonout.dumps(request), blobs


def encode_request(request: InferRequest) -> bytes:
    """The JSON part of a request whose inputs all follow in binary form, in their order."""
    controls = _controls(request.correlation_id, request.flags, request.priority, request.timeout_us)
    members: dict[str, Any] = {"id": request.id} if request.id else {}
    members["parameters"] = {**request.parameters, **controls, "binary_data_output": True}
    members["inputs"] = [
        {
            "name": item.name,
            "datatype": item.datatype,
            "shape": list(item.shape),
            "parameters": {"binary_data_size": item.nbytes},
        }
        for item in request.inputs
    ]
    if request.outputs:
        members["outputs"] = [_wanted(item) for item in request.outputs]
    return jsonout.dumps(members)


def _wanted(output: OutputRef) -> dict[str, Any]:
    parameters: dict[str, Any] = {"binary_data": True}
    if output.classification:
        parameters["classification"] = output.classification
    return {"name": output.name, "parameters": parameters}


def lane_facts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What parameters come to where the protocol's own are not among them: those, and `parameters`, the others."""
    own = dict(parameters)
    flags = FLAG_SEQUENCE_START if own.pop("sequence_start", False) else 0
    flags |= FLAG_SEQUENCE_END if own.pop("sequence_end", False) else 0
    names = {"correlation_id": "sequence_id", "priority": "priority", "timeout_us": "timeout"}
    controls = {fact: own.pop(name) for fact, name in names.items() if name in own}
    return {**controls, "flags": flags, "parameters": own}


def decode_infer_response(body: memoryview, header_nbytes: int | None) -> dict[str, Array]:
    """The outputs by name; arrays share the body's memory. Raises INTERNAL for what is no response."""
    return {name: array for name, array in _outputs(body, header_nbytes) if array is not None}


def _controls(correlation_id: int | str, flags: int, priority: int, timeout_us: int) -> dict[str, ParameterValue]:
    controls: dict[str, ParameterValue] = {}
    if correlation_id not in (0, ""):
        controls["sequence_id"] = correlation_id
        controls["sequence_start"] = bool(flags & FLAG_SEQUENCE_START)
        controls["sequence_end"] = bool(flags & FLAG_SEQUENCE_END)
    if priority:
        controls["priority"] = priority
    if timeout_us:
        controls["timeout"] = timeout_us
    return controls


def _outputs(body: memoryview, header_nbytes: int | None) -> list[tuple[str, Array | None]]:
    at = body.nbytes if header_nbytes is None else header_nbytes
    if not 0 <= at <= body.nbytes:
        _malformed(f"it has {body.nbytes} bytes, fewer than its header of {at}")
    decoded: list[tuple[str, Array | None]] = []
    for output in _entries(bytes(body[:at])):
        name, datatype, shape = _described(output)
        size = members.object_or_empty(output.get("parameters")).get("binary_data_size")
        if type(size) is int:
            if not 0 <= size <= body.nbytes - at:
                _malformed(f"output '{name}' is incomplete")
            decoded.append((name, arrays.from_bytes(body[at : at + size], datatype, shape)))
            at += size
        elif "data" in output:
            decoded.append((name, arrays.from_values(members.array(output, "data"), datatype, shape)))
        else:
            # It lies in a region of shared memory, which is the caller's.
            decoded.append((name, None))
    return decoded


def _described(output: dict[str, Any]) -> tuple[str, Datatype, tuple[int, ...]]:
    try:
        name = members.string(output, "name")
        datatype = lookup(members.string(output, "datatype"))
        shape = members.dimensions(output)
    except PyServeError as error:
        _malformed(f"an output is not described: {error}")
    if datatype is None:
        _malformed(f"output '{name}' has an unknown datatype")
    return name, datatype, shape


def _entries(header: bytes) -> list[dict[str, Any]]:
    try:
        response = json.loads(header.decode("utf-8", "surrogateescape"))
        entries = response["outputs"]
    except (ValueError, KeyError, TypeError, RecursionError):
        _malformed("its JSON part is not one")
    if type(entries) is not list or not all(type(entry) is dict for entry in entries):
        _malformed("its outputs are not a list of objects")
    return entries


def _malformed(reason: str) -> NoReturn:
    raise PyServeError(Code.INTERNAL, f"malformed inference response: {reason}")
