"""The records of traces, as a real Triton writes them, and as we do (`python -m tests.golden.traces COMMAND` records).

COMMAND starts a server, with the fields of `tests.golden.server`. What is compared is which records a trace has, and of
which part: their order differs from run to run where two threads of Triton's write them.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import tritonclient.grpc as triton
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.golden.server import Ports, free_ports, running

FILE: Final = Path(__file__).with_name("traces_triton_2_51.json")
DEADLINE_S: Final = 30.0

_MODEL: Final = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request, request.inputs()[0].as_numpy()) for request in requests]

    def answer(self, request, x):
        def call(model, **options):
            inputs = [pb_utils.Tensor("X", x)]
            return pb_utils.InferenceRequest(
                model_name=model, requested_output_names=["Y"], inputs=inputs, **options
            ).exec()

{body}
"""
_SENDING: Final = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            x, sender = request.inputs()[0].as_numpy(), request.get_response_sender()
            for count in range(int(x[0])):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x + count)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
_BODIES: Final = {
    "add": ["y = x + 1"],
    "same": ["y = x"],
    "bad": ["raise ValueError('bad day')"],
    "refusing": ["return pb_utils.InferenceResponse(error=pb_utils.TritonError('no'))"],
    "calling": ["call('chain', trace=request.trace(), request_id='kid')", "y = x"],
    "calling_apart": ["call('add')", "y = x"],
}
_STEPS: Final = {"chain": ("add", "add"), "nested": ("chain", "add"), "broken": ("bad", "add")}

Send = Callable[[Any, Any], None]
#: A record without its time, and with the number of its part in the trace.
Traces = dict[str, list[str]]


def lay_out(repository: Path) -> None:
    """The models, as a repository."""
    for name, body in _BODIES.items():
        lines = [*body, 'return pb_utils.InferenceResponse([pb_utils.Tensor("Y", y)])']
        source = _MODEL.format(body="\n".join(f"        {line}" for line in lines))
        datatype = "TYPE_STRING" if name == "same" else "TYPE_FP32"
        _write(repository / name, 'backend: "python"', datatype, source)
    _write(
        repository / "sending", 'backend: "python" model_transaction_policy { decoupled: true }', "TYPE_FP32", _SENDING
    )
    for name, (first, second) in _STEPS.items():
        steps = " ".join(
            f'step {{ model_name: "{model}" model_version: -1 input_map {{ key: "X" value: "{source}" }} '
            f'output_map {{ key: "Y" value: "{target}" }} }}'
            for model, source, target in ((first, "X", "T"), (second, "T", "Y"))
        )
        _write(repository / name, f'platform: "ensemble" ensemble_scheduling {{ {steps} }}', "TYPE_FP32")


def _write(folder: Path, head: str, datatype: str, source: str = "") -> None:
    (folder / "1").mkdir(parents=True)
    tensor = f"data_type: {datatype} dims: [ -1 ]"
    config = f'{head} input {{ name: "X" {tensor} }} output {{ name: "Y" {tensor} }}'
    (folder / "config.pbtxt").write_text(config)
    if source:
        (folder / "1" / "model.py").write_text(source)


def _input(module: Any, values: list[Any]) -> list[Any]:
    strings = isinstance(values[0], bytes)
    made = module.InferInput("X", [len(values)], "BYTES" if strings else "FP32")
    return [made.set_data_from_numpy(np.array(values, object if strings else np.float32))]


def _http(model: str, *values: Any, **options: Any) -> Send:
    return lambda http, grpc: http.infer(model, _input(triton_http, list(values)), **options)


def _grpc(model: str, *values: Any, **options: Any) -> Send:
    return lambda http, grpc: grpc.infer(model, _input(triton, list(values)), **options)


def _stream(model: str, *values: Any, responses: int = 1) -> Send:
    def send(http: Any, grpc: Any) -> None:
        answers: queue.Queue[Any] = queue.Queue()
        grpc.start_stream(lambda result, error: answers.put(error))
        grpc.async_stream_infer(model, _input(triton, list(values)), request_id="s")
        for _ in range(responses):
            assert answers.get(timeout=DEADLINE_S) is None
        grpc.stop_stream()

    return send


def _generate(model: str, values: list[float], verb: str) -> Send:
    body = json.dumps({"X": values}).encode()
    return lambda http, grpc: http._post(f"v2/models/{model}/{verb}", body, {}, None).read()


CASES: Final[Mapping[str, Send]] = {
    "http": _http("add", 1.5, request_id="abc"),
    "http_strings": _http("same", b"a", b"bc"),
    "http_several": _http("add", 0.1, -2, 1e10),
    "grpc": _grpc("add", 1, request_id="g"),
    "http_fails": _http("bad", 1),
    "grpc_fails": _grpc("bad", 1),
    "http_refuses": _http("refusing", 1),
    "grpc_refuses": _grpc("refusing", 1),
    "generate": _generate("add", [1], "generate"),
    "generate_stream": _generate("sending", [2], "generate_stream"),
    "stream": _stream("add", 1),
    "stream_of_responses": _stream("sending", 2, responses=2),
    "ensemble": _http("chain", 1, request_id="e"),
    "ensemble_of_ensembles": _grpc("nested", 1),
    "ensemble_fails": _http("broken", 1),
    "calls": _http("calling", 1),
    "calls_apart": _grpc("calling_apart", 1),
}


def collect(template: str, folder: Path) -> Traces:
    """The traces of all cases, from a server that is started for them."""
    repository, path = folder / "models", folder / "traces.json"
    lay_out(repository)
    words = ["level=TIMESTAMPS", "level=TENSORS", "rate=1", f"triton,file={path}", "triton,log-frequency=1"]
    options = [part for word in words for part in ("--trace-config", word)]
    ports = Ports(*free_ports(3))
    found: Traces = {}
    with (
        running(template, repository=repository, options=options, log=folder / "log", ports=ports),
        triton_http.InferenceServerClient(f"127.0.0.1:{ports.http}") as http,
        triton.InferenceServerClient(f"127.0.0.1:{ports.grpc}") as grpc,
    ):
        for number, (name, send) in enumerate(CASES.items()):
            with contextlib.suppress(InferenceServerException):
                send(http, grpc)
            found[name] = records(_read(Path(f"{path}.{number}")))
    return found


def _read(path: Path) -> str:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("]"):
            return path.read_text()
        time.sleep(0.01)
    raise AssertionError(f"{path.name} was not written")


def records(text: str) -> list[str]:
    """What stands in a trace's file, sorted; numbers of parts count from 1, times are gone."""
    items = [json.loads(item) for item in re.split(r"(?<=\}),(?=\{\"id\")", text.strip("[]"))]
    numbers = {number: str(index) for index, number in enumerate(sorted({item["id"] for item in items}), 1)}
    return sorted(_record(item, numbers) for item in items)


def _record(item: dict[str, Any], numbers: Mapping[int, str]) -> str:
    number = numbers[item["id"]]
    if "timestamps" in item:
        (stamp,) = item["timestamps"]
        assert isinstance(stamp["ns"], int)
        return f"{number} {stamp['name']}"
    kept = {name: value for name, value in item.items() if name != "id"}
    if "parent_id" in kept:
        kept["parent_id"] = numbers[kept["parent_id"]]
    return f"{number} {json.dumps(kept, sort_keys=True)}"


def recorded() -> Traces:
    """What the real Triton wrote."""
    found: Traces = json.loads(FILE.read_text())
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(json.dumps(collect(sys.argv[1], Path(folder)), indent=1) + "\n")
