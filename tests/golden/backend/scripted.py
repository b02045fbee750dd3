"""Models that do what a request says, and the requests that say it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.golden.case import Case, Files, Json, Kept, Rpc, encoded, http, tensor

_HERE = Path(__file__).parent / "models"
_SCRIPTED = (_HERE / "scripted.py").read_text()
_SCRIPTED_ASYNC = (_HERE / "scripted_async.py").read_text()

_TENSORS = """backend: "python"
input [
  { name: "PROBE" data_type: TYPE_STRING dims: [ -1 ] optional: true },
  { name: "SCRIPT" data_type: TYPE_STRING dims: [ -1 ] optional: true },
  { name: "X" data_type: TYPE_FP32 dims: [ -1 ] optional: true }
]
output [
  { name: "TEXT" data_type: TYPE_STRING dims: [ -1 ] },
  { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] }
]
instance_group [ { kind: KIND_CPU } ]
"""
BATCHED = """max_batch_size: 8
dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 2000000 }
"""
SEQUENCE = "sequence_batching { max_sequence_idle_microseconds: 60000000 }\n"
ITERATIVE = "sequence_batching { iterative_sequence: true }\n"
DECOUPLED = "model_transaction_policy { decoupled: true }\n"


def scripted(config: str = "") -> Files:
    """A model whose `execute` is the request's."""
    return {"config.pbtxt": _TENSORS + config, "1/model.py": _SCRIPTED}


def scripted_async(config: str = "") -> Files:
    """The same, with `async def execute`."""
    return {"config.pbtxt": _TENSORS + config, "1/model.py": _SCRIPTED_ASYNC, "1/scripted.py": _SCRIPTED}


def probe(name: str, source: str, *, model: str = "script") -> Case:
    """What comes of an expression inside a model; statements may go before it."""
    return _ask(name, model, {"inputs": [tensor("PROBE", "BYTES", [1], [dedent(source).strip()])]})


def script(name: str, source: str, *, model: str = "script", timeout_s: float = 20.0, **members: Json) -> Case:
    """What comes of an `execute` with this body."""
    inputs = [tensor("SCRIPT", "BYTES", [1], [dedent(source).strip()])]
    return _ask(name, model, {"inputs": inputs, **members}, timeout_s)


def _ask(name: str, model: str, body: Json, timeout_s: float = 20.0) -> Case:
    request = http("POST", f"/v2/models/{model}/infer", encoded(body))
    return Case(name=name, request=request, kept=Kept.OUTPUTS, timeout_s=timeout_s)


def source_of(case: Case) -> str:
    """The PROBE of a case, to be tried without a server."""
    import json

    body = json.loads(case.request.partition(b"\r\n\r\n")[2])
    return str(body["inputs"][0]["data"][0])


def message(
    source: str, *, model: str = "decoupled", parameters: Mapping[str, Json] | None = None, **members: Json
) -> dict[str, Any]:
    """A request for gRPC, in protobuf's JSON form; parameters are given plainly."""
    text = base64.b64encode(dedent(source).strip().encode()).decode()
    inputs = [{"name": "SCRIPT", "datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [text]}}]
    given = {name: _parameter(value) for name, value in (parameters or {}).items()}
    return {"model_name": model, "inputs": inputs, "parameters": given, **members}


def _parameter(value: Json) -> dict[str, Json]:
    kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[type(value)]
    return {kind: value}


def stream(
    name: str,
    *sources: str,
    model: str = "decoupled",
    parameters: Mapping[str, Json] | None = None,
    metadata: Sequence[tuple[str, str]] = (),
    timeout_s: float = 20.0,
    cancel_after: int = 0,
    **members: Json,
) -> Rpc:
    """Requests on one stream, which ask for empty final responses too."""
    given = {"triton_enable_empty_final_response": True, **(parameters or {})}
    requests = tuple(
        message(source, model=model, parameters=given, id=str(index), **members)
        for index, source in enumerate(sources, start=1)
    )
    return Rpc(name=name, requests=requests, metadata=tuple(metadata), timeout_s=timeout_s, cancel_after=cancel_after)
