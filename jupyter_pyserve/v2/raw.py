"""The raw binary request: a body that is the content of a model's single input, and nothing else.

Everything that a request would say is deduced from the model's signature and the size of the body.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2 import limits
from jupyter_pyserve.v2.datatypes import TABLE
from jupyter_pyserve.v2.messages import InferRequest, InputRef, request_prefix

if TYPE_CHECKING:
    from jupyter_pyserve.model.signature import Signature, TensorSpec

_PREFIX: Final = request_prefix("")


def raw_infer(
    signature: Signature, body_nbytes: int, *, max_raw_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES
) -> InferRequest:
    """Deduces the request; outputs are wanted in binary form, all of them."""
    limits.check_raw_size(body_nbytes, max_raw_bytes)
    if len(signature.inputs) != 1:
        found = f"(found 1) to be deduced but got {len(signature.inputs)} inputs in '{signature.model_name}'"
        raise _refuse(f"Raw request must only have 1 input {found} model configuration")
    (spec,) = signature.inputs.values()
    lead = b""
    if TABLE[spec.datatype].is_bytes:
        dims = _bytes_dims(spec)
        if body_nbytes >= 1 << 32:
            raise _refuse(f"Raw input has a byte_size ({body_nbytes} bytes) that one BYTES element cannot hold")
        lead = struct.pack("<I", body_nbytes)
    else:
        dims = _deduced_dims(spec, body_nbytes, signature.model_name)
    shape = (1, *dims) if signature.max_batch_size > 0 else dims
    nbytes = len(lead) + body_nbytes
    tensor = InputRef(name=spec.name, datatype=spec.datatype, shape=shape, offset=0, nbytes=nbytes, lead=lead)
    return InferRequest(id="", parameters={}, inputs=(tensor,), binary_data_output=True)


def _bytes_dims(spec: TensorSpec) -> tuple[int, ...]:
    if spec.dims != (1,):
        raise _refuse(f"For BYTE datatype raw input '{spec.name}', the model must have input shape [1]")
    return spec.dims


def _deduced_dims(spec: TensorSpec, nbytes: int, model_name: str) -> tuple[int, ...]:
    if spec.dims.count(-1) > 1:
        reason = "can not be deduced because there are more than one variable-sized dimension"
        raise _refuse(f"The shape of the raw input '{spec.name}' {reason}")
    unit = math.prod(size for size in spec.dims if size != -1) * TABLE[spec.datatype].itemsize
    free = nbytes // unit if unit else 0
    dims = tuple(free if size == -1 else size for size in spec.dims)
    expected = unit * free if -1 in spec.dims else unit
    if expected != nbytes:
        sizes = f"Expected {expected}, got {nbytes}"
        raise _refuse(f"input byte size mismatch for input 'raw_input' for model '{model_name}'. {sizes}")
    return dims


def _refuse(message: str) -> PyServeError:
    return PyServeError(Code.INVALID_ARG, _PREFIX + message)
