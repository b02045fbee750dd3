"""`pyserve.infer`: one request with its answer as something to look at, and requests that a file of JSON holds.

Shapes inputs and shows outputs; the way a request takes is the client's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.arrays import DATATYPES, Array, as_input
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.control import Control
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, code_block, columns, element, table

_HEADER = ("output", "type", "shape", "values")
_EDGE, _MOST = 3, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Inputs by name, and what is said apart from them."""

    inputs: Mapping[str, object]
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


class Answer(View, Mapping[str, Array]):
    """What a model answered: outputs by name, of the last response where there are several (`responses`).

    `latency_ms` is the time until the first response, `total_ms` until the last one.
    """

    def __init__(self, model: str, responses: list[dict[str, Array]], latency_ms: float, total_ms: float) -> None:
        self.model = model
        self.responses = responses
        self.latency_ms = latency_ms
        self.total_ms = total_ms

    def __getitem__(self, output: str) -> Array:
        if not self.responses:  # a decoupled model need not give any
            raise KeyError(output)
        return self.responses[-1][output]

    def __iter__(self) -> Iterator[str]:
        return iter(self.responses[-1] if self.responses else ())

    def __len__(self) -> int:
        return len(self.responses[-1]) if self.responses else 0

    def html(self) -> Markup:
        tables = [table(_HEADER, _rows(item, html=True)) for item in self.responses]
        return element("div", element("div", element("b", self.model), f" {self._headline()}"), *tables)

    def plain(self) -> str:
        tables = [columns(map(str.upper, _HEADER), _rows(item)) for item in self.responses]
        return "\n".join([f"{self.model} {self._headline()}", *tables])

    def _headline(self) -> str:
        if len(self.responses) == 1:
            return f"answered in {figures.milliseconds(self.total_ms)}"
        first = f", the first after {figures.milliseconds(self.latency_ms)}" if self.responses else ""
        return f"gave {len(self.responses)} responses in {figures.milliseconds(self.total_ms)}{first}"


def infer(
    name: str,
    inputs: Mapping[str, object] | Request,
    *,
    version: str | int | None = None,
    outputs: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Answer:
    """Ask a model once and look at what it says; `model(name)` is for calling one again and again.

    A decoupled model's responses are all awaited; `model(name).stream(…)` gives them as they come.
    """
    request = inputs if isinstance(inputs, Request) else Request(inputs=inputs)
    model = default_client().model(name, version)
    model.as_arrays({})  # reads the model's datatypes now, apart from what is timed
    model = model.using(
        outputs=tuple(outputs) or request.outputs,
        parameters={**request.parameters, **(parameters or {})},
        request_id=request_id or request.request_id,
        timeout_s=timeout_s,
    )
    is_decoupled = Control(default_client().connection).model_status(name).get("decoupled")
    responses, first_s, began_s = [], None, time.perf_counter()
    for response in model.stream(**request.inputs) if is_decoupled else (model(**request.inputs),):
        first_s = first_s or time.perf_counter()
        responses.append(response)
    end_s = time.perf_counter()
    return Answer(name, responses, ((first_s or end_s) - began_s) * 1e3, (end_s - began_s) * 1e3)


def read_request(path: str | os.PathLike[str]) -> Request:
    """A file of JSON: the body of a v2 request, or an object with the inputs' values by name."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise PyServeError(Code.INVALID_ARG, f"'{path}' can't be read: {error.strerror or error}") from error
    except ValueError as error:
        raise PyServeError(Code.INVALID_ARG, f"'{path}' is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise PyServeError(
            Code.INVALID_ARG, f'\'{path}\' holds no JSON object: either {{"inputs": [...]}} or {{"INPUT0": [1, 2]}}'
        )
    if not isinstance(found.get("inputs"), list):
        return Request(inputs=found)
    try:
        return Request(
            inputs={item["name"]: _tensor(item) for item in found["inputs"]},
            outputs=tuple(item["name"] for item in found.get("outputs", ())),
            parameters=found.get("parameters", {}),
            request_id=str(found.get("id", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        problem = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise PyServeError(Code.INVALID_ARG, f"'{path}' is not the body of a v2 request: {problem}") from error


def _tensor(item: Mapping[str, Any]) -> Array:
    if item["datatype"] not in DATATYPES:
        raise ValueError(f"'{item['datatype']}' is not a datatype ({', '.join(DATATYPES)})")
    array = as_input(item["data"], item["datatype"], where=f"input '{item['name']}'")
    return array.reshape(item["shape"])


def _rows(response: Mapping[str, Array], *, html: bool = False) -> list[tuple[object, ...]]:
    return [
        (name, str(array.dtype), list(array.shape), code_block(shown) if html else shown)
        for name, array in response.items()
        for shown in [_values(array)]
    ]


def _values(array: Array) -> str:
    with np.printoptions(edgeitems=_EDGE, threshold=_MOST, precision=6, linewidth=10_000):
        text = np.array2string(array, separator=", ")
    return " ".join(text.split())
