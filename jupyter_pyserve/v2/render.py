"""Writes the JSON part of an inference response.

The binary parts are the caller's to send after it, in the order of the outputs; this module never copies them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from jupyter_pyserve.v2 import jsonout
from jupyter_pyserve.v2.messages import OutputValue, ParameterValue
from jupyter_pyserve.v2.rapidjson import encode


def render_response(
    *,
    model_name: str,
    version: str,
    id: str,  # noqa: A002
    outputs: Sequence[OutputValue],
    parameters: Mapping[str, ParameterValue] | None = None,
) -> tuple[bytes, bool]:
    """The JSON, and whether bytes follow it; only then does the response name its length in a header."""
    head = _head(model_name, version)
    if id:
        head = encode(f'{{"id":{jsonout.quote(id)},') + head[1:]
    if parameters:
        head += b',"parameters":' + jsonout.dumps(parameters)
    parts = [_output(output) for output in outputs]
    follows = any(output.binary and output.data is not None and output.data.nbytes > 0 for output in outputs)
    return b'%b,"outputs":[%b]}' % (head, b",".join(parts)), follows


def _output(output: OutputValue) -> bytes:
    if output.data is None:
        return _opening(output.name, output.datatype, output.shape) + b"}"
    if output.binary:
        return _binary(output.name, output.datatype, output.shape, output.data.nbytes)
    opening = _opening(output.name, output.datatype, output.shape)
    return b'%b,"data":%b}' % (opening, jsonout.tensor(output.datatype, output.data))


# Models answer with the same names and few shapes over and over; the bound keeps odd shapes from piling up.
@functools.lru_cache(maxsize=1024)
def _head(model_name: str, version: str) -> bytes:
    return encode(f'{{"model_name":{jsonout.quote(model_name)},"model_version":{jsonout.quote(version)}')


@functools.lru_cache(maxsize=4096)
def _binary(name: str, datatype: str, shape: tuple[int, ...], nbytes: int) -> bytes:
    return b'%b,"parameters":{"binary_data_size":%d}}' % (_opening(name, datatype, shape), nbytes)


def _opening(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    dims = ",".join(map(str, shape))
    return encode(f'{{"name":{jsonout.quote(name)},"datatype":"{datatype}","shape":[{dims}]')
