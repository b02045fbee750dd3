"""What is typed into a form, as the arrays of a request; and answers as texts. Pure."""

from __future__ import annotations

import json
import keyword
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.arrays import Array, as_input
from jupyter_pyserve.notebook.payloads import TensorInfo
from jupyter_pyserve.v2.arrays import datatype_of

_MAX_ELEMENTS = 400
_MAX_TEXT = 4000


class FieldErrors(Exception):
    """What is wrong, by field."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in by_name.items()))
        self.by_name = dict(by_name)


def field_of(tensor: TensorInfo, *, optional: bool) -> dict[str, Any]:
    """How an input is asked for: as a text, a number, or JSON."""
    single = math.prod(abs(size) for size in tensor["shape"]) == 1
    fixed = all(size == 1 for size in tensor["shape"][-1:])
    kind = "json"
    if tensor["datatype"] == "BYTES":
        kind = "text" if single else "json"
    elif single and fixed and tensor["datatype"] != "BOOL":
        kind = "number"
    return {**tensor, "kind": kind, "optional": optional, "value": _example(tensor, kind)}


def read_request(
    tensors: Sequence[TensorInfo], optional: Iterable[str], texts: Mapping[str, str], parameters: str
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The inputs and parameters that were typed; `FieldErrors` names all that is wrong."""
    arrays: dict[str, Array] = {}
    wrong: dict[str, str] = {}
    for tensor in tensors:
        name = tensor["name"]
        text = texts.get(name, "")
        if not text.strip() and (name in optional or tensor["datatype"] != "BYTES"):
            if name not in optional:
                wrong[name] = "a value is needed"
            continue
        try:
            arrays[name] = read_array(tensor, text)
        except PyServeError as error:
            wrong[name] = error.message
    found: Any = {}
    if parameters.strip():
        try:
            found = json.loads(parameters)
        except ValueError as error:
            wrong["parameters"] = f"this is not JSON: {error}"
        if not isinstance(found, dict):
            wrong["parameters"] = 'a JSON object is needed, like {"key": 1}'
    if wrong:
        raise FieldErrors(wrong)
    return arrays, found


def read_array(tensor: TensorInfo, text: str) -> Array:
    """One input: nested lists, a flat list that fills the shape, or a single value."""
    value = _value(tensor, text)
    array = as_input(value, tensor["datatype"], where="this")
    shape = tensor["shape"]
    if not isinstance(value, list):
        array = array.reshape((1,) * len(shape))
    elif array.ndim != len(shape) and array.ndim == 1:
        array = _filled(array, shape)
    if array.ndim != len(shape) or any(-1 != want != have for want, have in zip(shape, array.shape)):
        raise PyServeError(Code.INVALID_ARG, f"its shape {list(array.shape)} does not fit {shape}")
    return array


def _value(tensor: TensorInfo, text: str) -> Any:
    is_text = tensor["datatype"] == "BYTES"
    if is_text and not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if is_text:
            return text
        raise PyServeError(Code.INVALID_ARG, f"this is not JSON: {error}") from None


def _filled(array: Array, shape: Sequence[int]) -> Array:
    """All free dimensions but the last are 1."""
    free = [place for place, size in enumerate(shape) if size < 0]
    dims = [1 if place in free[:-1] else size for place, size in enumerate(shape)]
    try:
        return array.reshape(dims)
    except ValueError:
        return array


def outputs_of(answer: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Arrays as texts that are not too long."""
    return [
        {"name": name, "datatype": datatype_of(array).name, "shape": list(array.shape), "text": text_of(array)}
        for name, array in answer.items()
    ]


def text_of(array: Array) -> str:
    if array.dtype == object:
        flat = [_decoded(item) for item in array.reshape(-1)[:_MAX_ELEMENTS]]
        texts = np.array(flat, dtype=object)
        shown = json.dumps(texts.reshape(array.shape).tolist() if len(flat) == array.size else flat, ensure_ascii=False)
    else:
        shown = np.array2string(array, separator=", ", threshold=_MAX_ELEMENTS, max_line_width=100)
    return shown if len(shown) <= _MAX_TEXT else f"{shown[:_MAX_TEXT]} … ({len(shown)} characters)"


def _decoded(item: object) -> str:
    return item.decode("utf-8", "backslashreplace") if isinstance(item, bytes) else str(item)


def python_line(name: str, arrays: Mapping[str, Array], parameters: Mapping[str, Any], request_id: str) -> str:
    """The same request as a call in a cell."""
    options = {"parameters": dict(parameters) or None, "request_id": request_id or None}
    using = ", ".join(f"{key}={value!r}" for key, value in options.items() if value is not None)
    values = {key: _plain(array) for key, array in arrays.items()}
    if all(key.isidentifier() and not keyword.iskeyword(key) for key in values):
        inputs = ", ".join(f"{key}={value!r}" for key, value in values.items())
    else:
        inputs = f"**{values!r}"
    call = f"pyserve.model({name!r}){f'.using({using})' if using else ''}({inputs})"
    return f"import jupyter_pyserve as pyserve\n\n{call}"


def request_body(arrays: Mapping[str, Array], parameters: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """The same request as JSON of the v2 protocol."""
    body: dict[str, Any] = {"id": request_id} if request_id else {}
    if parameters:
        body["parameters"] = dict(parameters)
    inputs = []
    for name, array in arrays.items():
        datatype = datatype_of(array).name
        if datatype in ("FP16", "BF16"):
            raise PyServeError(Code.UNSUPPORTED, f"the protocol's JSON can't hold '{name}', which is {datatype}")
        flat = np.array(_plain(array), dtype=object).reshape(-1).tolist()
        inputs.append({"name": name, "shape": list(array.shape), "datatype": datatype, "data": flat})
    return {**body, "inputs": inputs}


def _plain(array: Array) -> Any:
    if array.dtype == object:
        return np.array([_decoded(item) for item in array.reshape(-1)], dtype=object).reshape(array.shape).tolist()
    return array.tolist()


def _example(tensor: TensorInfo, kind: str) -> str:
    if kind == "text":
        return ""
    value: Any = {"BYTES": "text", "BOOL": False}.get(tensor["datatype"], 0)
    if kind == "number":
        return "0"
    shape = [1 if size < 0 else size for size in tensor["shape"]]
    if math.prod(shape) > _MAX_ELEMENTS:
        return ""
    return json.dumps(np.full(shape, value, dtype=object).tolist())
