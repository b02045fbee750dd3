"""Requests to paste: a curl line and a tritonclient snippet for one model, made from its inputs.

They take address and token from the environment that kernels and terminals have, so that no secret ends up in a saved
notebook. Text only.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from jupyter_pyserve.notebook.payloads import TensorInfo

SMALL = 32  # elements that still read well inside a line
_NUMPY = {"BOOL": "bool_", "FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "float32"}
_ITEM_BYTES = {"BOOL": 1, "FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8, "BYTES": 4}
JUPYTER = '"$PYSERVE_URL/v2/models/{path}" -H "Authorization: token $PYSERVE_TOKEN"'


def curl_line(name: str, inputs: Sequence[TensorInfo], *, socket_path: str | None = None) -> str:
    """For a terminal, or for a cell with `!` before it; with `socket_path`, past the Jupyter server."""
    where = _where(name, "infer", socket_path)
    shapes = [_example_shape(tensor) for tensor in inputs]
    if _fits_in_json(inputs):
        tensors = [{**_tensor(t, shape), "data": _zeros(t, shape)} for t, shape in zip(inputs, shapes, strict=True)]
        return f"curl -s {where} -d {shlex.quote(_compact({'inputs': tensors}))}"
    sizes = [_nbytes(t, shape) for t, shape in zip(inputs, shapes, strict=True)]
    header = _compact(
        {
            "inputs": [
                {**_tensor(t, shape), "parameters": {"binary_data_size": size}}
                for t, shape, size in zip(inputs, shapes, sizes, strict=True)
            ],
            "parameters": {"binary_data_output": True},
        }
    )
    body = f"(printf %s {shlex.quote(header)}; head -c {sum(sizes)} /dev/zero)"
    length = len(header.encode())
    return f'{body} | curl -s {where} -H "Inference-Header-Content-Length: {length}" --data-binary @- -o response.bin'


def curl_stream_line(name: str, inputs: Sequence[TensorInfo], *, socket_path: str | None = None) -> str | None:
    """The same for a decoupled model; None where its inputs do not fit into a line of JSON."""
    if not _fits_in_json(inputs):
        return None
    tensors = {tensor["name"]: _zeros(tensor, _example_shape(tensor)) for tensor in inputs}
    return f"curl -sN {_where(name, 'generate_stream', socket_path)} -d {shlex.quote(_compact(tensors))}"


def curl_request(name: str, body: dict[str, Any], *, stream: bool = False, socket_path: str | None = None) -> str:
    """A request that is written down already; with `stream`, of a model that answers any number of times."""
    if stream:  # there inputs are members of one object, lists or single values
        body = {
            **{tensor["name"]: tensor["data"] for tensor in body["inputs"]},
            **({"id": body["id"]} if "id" in body else {}),
            **({"parameters": body["parameters"]} if "parameters" in body else {}),
        }
    where = _where(name, "generate_stream" if stream else "infer", socket_path)
    return f"curl -s{'N' if stream else ''} {where} -d {shlex.quote(_compact(body))}"


def tritonclient_snippet(
    name: str, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], *, secure: bool = False
) -> str:
    """An unmodified `tritonclient.http` through the Jupyter server."""
    lines = [
        "import os",
        "import numpy as np",
        "import tritonclient.http as triton",
        "",
        'url = os.environ["PYSERVE_URL"].split("://", 1)[1]',
        f"client = triton.InferenceServerClient(url{', ssl=True' if secure else ''})",
        "inputs = []",
    ]
    for tensor in inputs:
        shape = _example_shape(tensor)
        lines += [
            f"inputs.append(triton.InferInput({tensor['name']!r}, {shape}, {tensor['datatype']!r}))",
            f"inputs[-1].set_data_from_numpy({_numpy_zeros(tensor, shape)})",
        ]
    lines.append(
        f'result = client.infer({name!r}, inputs, headers={{"Authorization": "token " + os.environ["PYSERVE_TOKEN"]}})'
    )
    lines += [f"print(result.as_numpy({tensor['name']!r}))" for tensor in outputs]
    return "\n".join(lines)


def _where(name: str, call: str, socket_path: str | None) -> str:
    path = f"{quote(name, safe='')}/{call}"
    if socket_path is None:
        return JUPYTER.format(path=path)
    return f"--unix-socket {shlex.quote(socket_path)} http://localhost/v2/models/{path}"


def _fits_in_json(inputs: Sequence[TensorInfo]) -> bool:
    count = sum(math.prod(_example_shape(tensor)) for tensor in inputs)
    return count <= SMALL and all(tensor["datatype"] not in ("FP16", "BF16") for tensor in inputs)


def _example_shape(tensor: TensorInfo) -> list[int]:
    return [1 if dim < 0 else dim for dim in tensor["shape"]]


def _tensor(tensor: TensorInfo, shape: list[int]) -> dict[str, Any]:
    return {"name": tensor["name"], "shape": shape, "datatype": tensor["datatype"]}


def _zeros(tensor: TensorInfo, shape: list[int]) -> list[Any]:
    zero: object = {"BYTES": "text", "BOOL": False, "FP32": 0.5, "FP64": 0.5}.get(tensor["datatype"], 0)
    return [zero] * math.prod(shape)


def _numpy_zeros(tensor: TensorInfo, shape: list[int]) -> str:
    if tensor["datatype"] == "BYTES":
        return f'np.full({shape}, b"text", dtype=object)'
    return f"np.zeros({shape}, dtype=np.{_NUMPY.get(tensor['datatype'], tensor['datatype'].lower())})"


def _nbytes(tensor: TensorInfo, shape: list[int]) -> int:
    """Of a tensor of zeros; for BYTES those are empty strings, four bytes of length each."""
    digits = "".join(char for char in tensor["datatype"] if char.isdigit())
    return math.prod(shape) * _ITEM_BYTES.get(tensor["datatype"], int(digits or 8) // 8)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
