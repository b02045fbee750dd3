"""Compares a parsed request with a model's signature, in Triton's order and with its texts.

Looks at tensor contents only where a count of strings can't be known otherwise. Must not know how requests travel.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.messages import InferRequest, InputRef, request_prefix
from jupyter_pyserve.v2.shapes import dims_text

if TYPE_CHECKING:
    from jupyter_pyserve.model.signature import Signature, TensorSpec

_BATCH_NOTE: Final = (
    "NOTE: Setting a non-zero max_batch_size in the model config requires a batch dimension to be prepended to each "
    "input shape. If you want to specify the full shape including the batch dim in your input dims config, try setting "
    "max_batch_size to zero. See the model configuration docs for more info on max_batch_size."
)
_LENGTH: Final = struct.Struct("<I")
_MAX_ID_NBYTES: Final = 128


class ContentError(PyServeError):
    """What Triton finds only when a request has reached its backend; over HTTP such errors are plain text."""


def validate(request: InferRequest, signature: Signature) -> None:
    """Raises INVALID_ARG unless the model can take the request, as far as that shows without reading the body."""
    _check_correlation_id(request.correlation_id)
    prefix = request_prefix(request.id)
    # Triton walks a hash table here; for the few inputs that requests have that is the order backwards.
    inputs = request.inputs[::-1]
    for output in request.outputs:
        if output.name not in signature.outputs:
            raise _refuse(f"unexpected inference output '{output.name}' for model '{signature.model_name}'")
    _check_count(inputs, signature, prefix)
    if signature.max_batch_size > 0:
        _check_batch(inputs, signature, prefix)
    for tensor in inputs:
        _check_tensor(tensor, _spec_of(tensor, signature), signature, prefix)
    for tensor in inputs:
        _check_size(tensor, signature, request.id)


def batch_size(request: InferRequest, signature: Signature) -> int:
    """How many inferences a valid request stands for."""
    if signature.max_batch_size > 0 and request.inputs and request.inputs[0].shape:
        return max(1, request.inputs[0].shape[0])
    return 1


def element_count(tensor: InputRef, signature: Signature) -> int:
    """How many elements a tensor must hold; a batch of none still counts as one, as in Triton."""
    if signature.max_batch_size > 0:
        return max(1, tensor.shape[0]) * math.prod(tensor.shape[1:])
    return math.prod(tensor.shape)


def check_bytes(view: memoryview, count: int, *, name: str, model_name: str, request_id: str = "") -> None:
    """Checks that a BYTES tensor holds exactly `count` elements, each complete."""
    if _is_uniform(view, count):
        return
    prefix = request_prefix(request_id)
    about = f"for inference input '{name}' for model '{model_name}'"
    at, end, found, length = 0, view.nbytes, 0, 0
    while at < end:
        if at + 4 > end:
            have = f"expecting 4 bytes but only {end - at} bytes available"
            advice = "Please make sure the string length indicator is in one buffer."
            raise _refuse(f"{prefix}incomplete string length indicator {about}, {have}. {advice}")
        found += 1
        if found > count:
            raise _refuse(f"{prefix}unexpected number of string elements {found} {about}, expecting {count}")
        length = _LENGTH.unpack_from(view, at)[0]
        at += 4 + length
    if found < count:
        raise _refuse(f"{prefix}expected {count} string elements {about}, got {found}")
    if at > end:
        have = f"expecting string of length {length} but only {end - at + length} bytes available"
        raise ContentError(Code.INVALID_ARG, f"incomplete string data for inference input '{name}', {have}")


def _refuse(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, message)


def _check_correlation_id(correlation_id: int | str) -> None:
    if isinstance(correlation_id, str) and len(correlation_id.encode("utf-8", "surrogateescape")) > _MAX_ID_NBYTES:
        text = f"string correlation ID cannot be longer than {_MAX_ID_NBYTES} characters"
        raise PyServeError(Code.UNSUPPORTED, text)


def _spec_of(tensor: InputRef, signature: Signature) -> TensorSpec:
    spec = signature.inputs.get(tensor.name)
    if spec is None:
        raise _refuse(f"unexpected inference input '{tensor.name}' for model '{signature.model_name}'")
    return spec


def _check_count(inputs: tuple[InputRef, ...], signature: Signature, prefix: str) -> None:
    most = len(signature.inputs)
    least = sum(not spec.optional for spec in signature.inputs.values())
    if least <= len(inputs) <= most:
        return
    wanted = f"{most} inputs" if least == most else f"number of inputs between {least} and {most}"
    given = {tensor.name for tensor in inputs}
    missing = [name for name, spec in signature.inputs.items() if not spec.optional and name not in given]
    # The opening bracket goes missing where nothing else does; clients compare these texts.
    missing_text = "[" + _names(missing) if missing else ""
    raise _refuse(
        f"{prefix}expected {wanted} but got {len(inputs)} inputs for model '{signature.model_name}'. "
        f"Got input(s) [{_names([tensor.name for tensor in inputs])}], "
        f"but missing required input(s) {missing_text}]. Please provide all required input(s)."
    )


def _names(names: list[str]) -> str:
    return ",".join(f"'{name}'" for name in names)


def _check_batch(inputs: tuple[InputRef, ...], signature: Signature, prefix: str) -> None:
    model = signature.model_name
    size: int | None = None
    for tensor in inputs:
        _spec_of(tensor, signature)
        if not tensor.shape:
            raise _refuse(
                f"{prefix}input '{tensor.name}' has no shape but model requires batch dimension for '{model}'"
            )
        if size is not None and size != tensor.shape[0]:
            raise _refuse(f"{prefix}input '{tensor.name}' batch size does not match other inputs for '{model}'")
        size = tensor.shape[0]
    if size is not None and size > signature.max_batch_size:
        raise _refuse(f"{prefix}inference request batch-size must be <= {signature.max_batch_size} for '{model}'")


def _check_tensor(tensor: InputRef, spec: TensorSpec, signature: Signature, prefix: str) -> None:
    model = signature.model_name
    if tensor.datatype != spec.datatype:
        types = f"data-type is '{tensor.datatype}', but model '{model}' expects '{spec.datatype}'"
        raise _refuse(f"{prefix}inference input '{tensor.name}' {types}")
    expected = (-1, *spec.dims) if signature.max_batch_size > 0 else spec.dims
    if len(expected) == len(tensor.shape):
        if min(tensor.shape, default=0) < 0:
            where = f"for input '{tensor.name}' for model '{model}', got {dims_text(tensor.shape)}"
            raise _refuse(f"{prefix}All input dimensions should be specified {where}")
        if all(want in (-1, have) for want, have in zip(expected, tensor.shape, strict=True)):
            return
    shapes = f"Expected {dims_text(expected)}, got {dims_text(tensor.shape)}"
    note = _BATCH_NOTE if signature.max_batch_size > 0 else ""
    raise _refuse(f"{prefix}unexpected shape for input '{tensor.name}' for model '{model}'. {shapes}. {note}")


def _check_size(tensor: InputRef, signature: Signature, request_id: str) -> None:
    count = element_count(tensor, signature)
    datatype = TABLE[tensor.datatype]
    if datatype.is_bytes:
        if tensor.inline is not None:
            view = memoryview(tensor.inline)
            check_bytes(view, count, name=tensor.name, model_name=signature.model_name, request_id=request_id)
        return
    expected = count * datatype.itemsize
    if tensor.nbytes != expected:
        where = f"for input '{tensor.name}' for model '{signature.model_name}'"
        sizes = f"Expected {expected}, got {tensor.nbytes}"
        raise _refuse(f"{request_prefix(request_id)}input byte size mismatch {where}. {sizes}")


def _is_uniform(view: memoryview, count: int) -> bool:
    """Whether the tensor is `count` strings of one length, which many are; seen without walking over them."""
    if count <= 0 or view.nbytes < 4 or view.nbytes % count:
        return False
    stride = view.nbytes // count
    if stride != 4 + _LENGTH.unpack_from(view, 0)[0]:
        return False
    first = bytes(view[:4])
    rows = np.frombuffer(view, np.uint8).reshape(count, stride)
    return bool((rows[:, :4] == np.frombuffer(first, np.uint8)).all())
