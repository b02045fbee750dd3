"""Reads the JSON part of an inference request (v2 protocol with the binary tensor data extension).

What comes out depends on the arguments only, so equal headers may share it. Knows no model: whether names, types and
shapes suit one is for `validate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import limits, members, rapidjson, tensors
from jupyter_pyserve.v2.datatypes import Datatype, lookup
from jupyter_pyserve.v2.members import Members
from jupyter_pyserve.v2.messages import InferRequest, InputRef, OutputRef, ShmRef, repeated, request_prefix
from jupyter_pyserve.v2.parameters import read_parameters
from jupyter_pyserve.v2.shapes import check_shape

_ONE_SOURCE: Final = (
    "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', "
    "'shared_memory_region' in 'parameters'."
)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A request while its inputs are read; `cursor` is where in the body the next binary tensor starts."""

    header: bytes
    body_nbytes: int
    cursor: int
    model_name: str
    prefix: str
    max_json_bytes: int
    names: set[str] = field(default_factory=set)


def parse_infer(
    header: bytes,
    *,
    body_nbytes: int,
    header_nbytes: int | None,
    model_name: str,
    max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES,
) -> InferRequest:
    """Reads `header`, the first `header_nbytes` of a body of `body_nbytes`; without a length it is the whole body."""
    start = body_nbytes if header_nbytes is None else header_nbytes
    if not 0 <= start <= body_nbytes:
        raise limits.out_of_range(start, body_nbytes)
    limits.check_json_size(len(header), max_json_bytes)
    request = members.object_or_empty(rapidjson.loads(header))
    request_id = members.string(request, "id") if "id" in request else ""
    found = read_parameters(request, header)
    reading = _Reading(
        header=header,
        body_nbytes=body_nbytes,
        cursor=start,
        model_name=model_name,
        prefix=request_prefix(request_id),
        max_json_bytes=max_json_bytes,
    )
    inputs = members.array(request, "inputs")
    limits.check_tensor_count("inputs", len(inputs))
    refs = tuple([_input(members.object_or_empty(item), reading) for item in inputs])
    if reading.cursor != body_nbytes:
        raise _invalid(f"unexpected additional input data for model '{model_name}'")
    return InferRequest(
        id=request_id,
        parameters=found.values,
        priority=found.priority,
        timeout_us=found.timeout_us,
        correlation_id=found.correlation_id,
        flags=found.flags,
        inputs=refs,
        outputs=_outputs(request, reading.prefix),
        binary_data_output=found.binary_data_output,
    )


def _invalid(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)


def _input(given: Members, reading: _Reading) -> InputRef:
    parameters = members.object_or_empty(given.get("parameters"))
    source = _source(given, parameters)
    name = members.string(given, "name")
    type_name = members.string(given, "datatype")
    shape = members.dimensions(given)
    datatype = lookup(type_name)
    if datatype is None:
        raise _invalid(f"invalid datatype for input {name}")
    check_shape(shape, datatype, name=name, prefix=reading.prefix)
    if name in reading.names:
        raise _invalid(f"{reading.prefix}input '{name}' already exists in request")
    reading.names.add(name)
    if source == "shared_memory_region":
        region = _region(parameters)
        return InputRef(name=name, datatype=type_name, shape=shape, offset=0, nbytes=region.nbytes, region=region)
    if source == "binary_data_size":
        offset, nbytes = _blob(parameters, name, reading)
        return InputRef(name=name, datatype=type_name, shape=shape, offset=offset, nbytes=nbytes)
    data = _json_data(given, datatype, shape, name, reading)
    return InputRef(name=name, datatype=type_name, shape=shape, offset=0, nbytes=len(data), inline=data)


def _source(given: Members, parameters: Members) -> str:
    """Which of the three places holds the tensor; there must be exactly one."""
    found = ["data"] if "data" in given else []
    found += [key for key in ("binary_data_size", "shared_memory_region") if key in parameters]
    if not found:
        raise _invalid(f"{_ONE_SOURCE} But no field is set")
    if len(found) > 1:
        raise _invalid(f"{_ONE_SOURCE} But set " + " ".join(f"'{key}'" for key in found))
    return found[0]


def _region(parameters: Members) -> ShmRef:
    region = members.string(parameters, "shared_memory_region")
    offset = members.unsigned(parameters, "shared_memory_offset") if "shared_memory_offset" in parameters else 0
    known = "shared_memory_byte_size" in parameters
    nbytes = members.unsigned(parameters, "shared_memory_byte_size") if known else 0
    return ShmRef(region=region, offset=offset, nbytes=nbytes)


def _blob(parameters: Members, name: str, reading: _Reading) -> tuple[int, int]:
    nbytes = members.unsigned(parameters, "binary_data_size")
    offset = reading.cursor
    missing = nbytes - (reading.body_nbytes - offset)
    if missing > 0:
        what = f"expecting {missing} additional bytes for model '{reading.model_name}'"
        raise _invalid(f"unexpected size for input '{name}', {what}")
    reading.cursor += nbytes
    return offset, nbytes


def _json_data(given: Members, datatype: Datatype, shape: tuple[int, ...], name: str, reading: _Reading) -> bytes:
    count = math.prod(shape)
    if count == 0:
        return b""
    data = members.array(given, "data")
    return pack_json(data, datatype, count, name, reading.header, reading.max_json_bytes)


def pack_json(
    data: list[Any], datatype: Datatype, count: int, name: str, document: bytes, max_json_bytes: int
) -> bytes:
    """The bytes of the input `name`, whose `count` elements were given as JSON in `document`."""
    if datatype.name in ("FP16", "BF16"):
        advice = f"Please use the binary data format for input {name}"
        raise _invalid(f"receiving {datatype.name} data via JSON is not supported. {advice}")
    limits.check_json_tensor(name, count * datatype.itemsize, max_json_bytes)
    try:
        packed, infinite = tensors.from_json(datatype, data, count)
    except tensors.NumberOverflowError:
        rapidjson.too_big(document)
    if infinite:
        rapidjson.check_numbers(document)
    return packed


def _outputs(request: Members, prefix: str) -> tuple[OutputRef, ...]:
    if "outputs" not in request:
        return ()
    given = members.array(request, "outputs")
    limits.check_tensor_count("outputs", len(given))
    refs = tuple([_output(members.object_or_empty(item)) for item in given])
    for name in repeated([ref.name for ref in refs]):
        raise _invalid(f"{prefix}output '{name}' already exists in request")
    return refs


def _output(given: Members) -> OutputRef:
    name = members.string(given, "name")
    parameters = members.object_or_empty(given.get("parameters"))
    if not parameters:
        return OutputRef(name=name)
    classified = "classification" in parameters
    if "shared_memory_region" in parameters:
        if classified:
            raise _invalid("Output can't set both 'shared_memory_region' and 'classification'")
        if "binary_data" in parameters and members.boolean(parameters, "binary_data", verb="set"):
            raise _invalid("Output can't set both 'shared_memory_region' and 'binary_data'")
        return OutputRef(name=name, region=_region(parameters))
    classification = members.unsigned(parameters, "classification", verb="set") if classified else 0
    binary = "binary_data" in parameters and members.boolean(parameters, "binary_data")
    return OutputRef(name=name, binary=binary, classification=classification)
