"""Traces of real requests, over every front end, in files and at an OpenTelemetry collector."""

from __future__ import annotations

import http.server
import json
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.golden import traces as golden
from tests.process.engine import TOKEN, Engine, running_engine
from tests.process.ensembles import ADD, MEMBER, chain, member
from tests.process.waiting import wait_until

ONE = {"X": np.array([1], np.float32)}
BODY = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [1]}]}
CORE = ["MODEL", "REQUEST_START", "QUEUE_START"]
COMPUTE = ["COMPUTE_START", "COMPUTE_INPUT_END", "COMPUTE_OUTPUT_START", "COMPUTE_END"]
HTTP = ["HTTP_RECV_START", "HTTP_RECV_END", "INFER_RESPONSE_COMPLETE", "HTTP_SEND_START", "HTTP_SEND_END"]
GRPC = ["GRPC_WAITREAD_START", "GRPC_WAITREAD_END", "INFER_RESPONSE_COMPLETE", "GRPC_SEND_START", "GRPC_SEND_END"]
CLIENT = {"traceparent": "00-0af7651916cd43dd8448eb211c12666c-b7ad6b7169242424-01"}

#: Calls an ensemble twice, once as part of its own trace, and prints what it knows of that.
CALLER = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.Tensor("IN", request.inputs()[0].as_numpy())
        print("context:", request.trace().get_context())
        for kind in ({}, {"trace": request.trace()}):
            found = pb_utils.InferenceRequest(
                model_name="ens", requested_output_names=["OUT"], inputs=[x], request_id="kid", **kind
            ).exec()
        return pb_utils.InferenceResponse([pb_utils.Tensor("Y", found.output_tensors()[0].as_numpy())])
"""


class Traced:
    """An engine that traces, and the traces that it has written, one to a file."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self.engine = engine
        self._path = path
        self._seen = 0

    def next(self) -> list[dict[str, Any]]:
        """The next trace, when it is there."""
        path = Path(f"{self._path}.{self._seen}")
        self._seen += 1
        text = wait_until(lambda: path.exists() and path.read_text().endswith("]") and path.read_text(), path.name)
        found: list[dict[str, Any]] = json.loads(text)
        return found


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    path = tmp_path / "traces.json"
    words = ["level=TIMESTAMPS", "level=TENSORS", "rate=1", f"triton,file={path}", "triton,log-frequency=1"]
    with running_engine(*(f"--trace-config={word}" for word in words)) as engine:
        member(engine, "add", ADD)
        yield Traced(engine, path)


def names(trace: list[dict[str, Any]], number: int) -> list[str]:
    """The names of a part's timestamps, and where its model and its tensors come among them."""
    return [
        item["timestamps"][0]["name"] if "timestamps" in item else item.get("activity", "MODEL")
        for item in trace
        if item["id"] == number
    ]


def models(trace: list[dict[str, Any]]) -> dict[int, tuple[str, int, str]]:
    """Name, parent and request id of the parts."""
    return {
        item["id"]: (item["model_name"], item.get("parent_id", 0), item.get("request_id", ""))
        for item in trace
        if "model_name" in item
    }


def times_are_in_order(trace: list[dict[str, Any]], *wanted: str) -> bool:
    found = {item["timestamps"][0]["name"]: item["timestamps"][0]["ns"] for item in trace if "timestamps" in item}
    times = [found[name] for name in wanted]
    return times == sorted(times)


def test_a_request_over_http(traced: Traced) -> None:
    assert traced.engine.infer("add", ONE, id="abc").status == 200
    trace = traced.next()
    answered = ["TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT", "INFER_RESPONSE_COMPLETE"]
    assert names(trace, 1) == [*HTTP[:2], *CORE, *answered, *COMPUTE, "REQUEST_END", *HTTP[3:]]
    assert models(trace) == {1: ("add", 0, "abc")}
    (data,) = [item["tensor"] for item in trace if item.get("activity") == "TENSOR_BACKEND_OUTPUT"]
    assert data == {"name": "Y", "data": "2", "shape": "1", "dtype": "FP32"}
    assert times_are_in_order(trace, *HTTP[:2], *CORE[1:], *COMPUTE, "REQUEST_END")


def test_a_request_over_grpc(traced: Traced) -> None:
    tensor = triton.InferInput("X", [1], "FP32").set_data_from_numpy(ONE["X"])
    headers = {"authorization": f"token {TOKEN}"}
    with triton.InferenceServerClient(traced.engine.grpc_url) as client:
        client.infer("add", [tensor], headers=headers, request_id="g")
        trace = traced.next()
        tensors = ["TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT"]
        assert names(trace, 1) == [*CORE, *tensors, *COMPUTE, "REQUEST_END", *GRPC]
        answers: queue.Queue[Any] = queue.Queue()
        client.start_stream(lambda result, error: answers.put(error), headers=headers)
        client.async_stream_infer("add", [tensor], request_id="s")
        assert answers.get() is None
        assert names(traced.next(), 2)[-5:] == GRPC
        client.stop_stream()


def test_a_request_on_a_lane(traced: Traced) -> None:
    lane = traced.engine.lane()
    lane.infer("add", ONE)
    lane.close()
    trace = traced.next()
    assert names(trace, 1) == [*CORE, "TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT", *COMPUTE, "REQUEST_END"]


def test_models_that_call_and_consist_of_models(traced: Traced) -> None:
    engine = traced.engine
    chain(engine, "ens", ADD, ADD)
    engine.deploy("caller", CALLER, MEMBER)
    assert engine.infer("caller", ONE).status == 200
    trace = traced.next()
    assert list(models(trace).items()) == [
        (4, ("ens_1", 2, "kid")),
        (3, ("ens_0", 2, "kid")),
        (2, ("ens", 1, "kid")),
        (1, ("caller", 0, "")),
    ]
    assert not set(COMPUTE) & set(names(trace, 2))
    assert set(COMPUTE) <= set(names(trace, 3))
    assert engine.said("caller", "context: None")


def test_requests_that_fail_or_are_given_up(traced: Traced) -> None:
    engine = traced.engine
    member(engine, "bad", "raise ValueError")
    assert engine.infer("bad", ONE).status == 500
    assert names(traced.next(), 1)[-2:] == HTTP[3:]
    gate = engine.gate()
    member(engine, "slow", f"open({str(gate)!r}, 'rb').read(); y = x.as_numpy()")
    tensor = triton.InferInput("X", [1], "FP32").set_data_from_numpy(ONE["X"])
    with triton.InferenceServerClient(engine.grpc_url) as client:
        headers = {"authorization": f"token {TOKEN}"}
        call = client.async_infer("slow", [tensor], callback=lambda result, error: None, headers=headers)
        gate.wait_until_entered()
        call.cancel()
    gate.open()  # its stub holds it until the model is done
    given_up = names(traced.next(), 2)
    assert "INFER_RESPONSE_COMPLETE" not in given_up
    assert given_up[-3:] == ["REQUEST_END", *GRPC[:2]]


def test_a_request_that_dies_with_its_stub(traced: Traced) -> None:
    member(traced.engine, "dying", "import os; os._exit(3)")
    assert traced.engine.infer("dying", ONE).status == 500
    found = names(traced.next(), 1)
    assert "REQUEST_END" in found
    assert not set(COMPUTE) & set(found)


def test_answers_that_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "traces.json"
    words = ["level=TIMESTAMPS", "rate=1", f"triton,file={path}", "triton,log-frequency=1"]
    options = [f"--trace-config={word}" for word in words]
    with running_engine(*options, "--cache-config=local,size=1048576") as engine:
        traced = Traced(engine, path)
        chain(engine, "ens", ADD)
        config = engine.repository / "ens" / "config.pbtxt"
        config.write_text(config.read_text() + " response_cache { enable: true }")
        engine.load("ens")
        assert engine.infer("ens", {"IN": ONE["X"]}).status == 200
        assert list(models(traced.next()).values()) == [("ens_0", 1, ""), ("ens", 0, "")]
        assert engine.infer("ens", {"IN": ONE["X"]}).status == 200
        again = traced.next()
        assert list(models(again)) == [3]
        assert names(again, 3) == [*HTTP[:2], *CORE, HTTP[2], "REQUEST_END", *HTTP[3:]]


def test_settings_change_while_requests_come(tmp_path: Path) -> None:
    path = tmp_path / "traces.json"
    with running_engine(f"--trace-config=triton,file={path}", "--trace-config=rate=1") as engine:
        member(engine, "add", ADD)
        assert engine.infer("add", ONE).status == 200
        on = {"trace_level": ["TIMESTAMPS"], "trace_count": "2"}
        assert engine.http.post("/v2/models/add/trace/setting", on).json()["trace_count"] == "2"
        for _ in range(3):
            assert engine.infer("add", ONE).status == 200
        assert engine.http.get("/v2/models/add/trace/setting").json()["trace_count"] == "0"
        counted = Traced(engine, path).next()
        assert sorted(models(counted)) == [1, 2]
        assert engine.http.post("/v2/trace/setting", {"trace_level": ["TIMESTAMPS"]}).status == 200
        assert (
            engine.http.post("/v2/models/add/trace/setting", {"trace_level": None, "trace_count": None}).status == 200
        )
        assert engine.infer("add", ONE).status == 200
        engine.unload("add")
        wait_until(lambda: engine.http.get("/v2/models/add/trace/setting").status == 400, "it is not known any more")
        assert engine.stop() == 0
    assert list(models(json.loads(path.read_text()))) == [3]
    assert not Path(f"{path}.1").exists()


class Collector:
    """What an OpenTelemetry collector was sent."""

    def __init__(self) -> None:
        self.spans: queue.Queue[Any] = queue.Queue()
        spans = self.spans

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        for span in scope.spans:
                            spans.put(span)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Nothing."""

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def test_spans(collector: Collector) -> None:
    words = ["level=TIMESTAMPS", "rate=0", "mode=opentelemetry", f"opentelemetry,url={collector.url}"]
    with running_engine(*(f"--trace-config={word}" for word in words)) as engine:
        chain(engine, "ens", ADD)
        engine.deploy("caller", CALLER, MEMBER)
        assert engine.infer("caller", ONE).status == 200
        assert engine.http.send("POST", "/v2/models/caller/infer", BODY, CLIENT).status == 200
        texts = [record["text"] for record in engine.said("caller", "context:", 2)]
        assert engine.stop() == 0
    spans = {span.span_id: span for span in (collector.spans.get_nowait() for _ in range(collector.spans.qsize()))}
    nesting = sorted((span.name, getattr(spans.get(span.parent_span_id), "name", "")) for span in spans.values())
    assert nesting == [
        ("InferRequest", ""),
        ("caller", "InferRequest"),
        ("compute", "caller"),
        ("compute", "ens_0"),
        ("ens", "caller"),
        ("ens_0", "ens"),
    ]
    assert {span.trace_id.hex() for span in spans.values()} == {"0af7651916cd43dd8448eb211c12666c"}
    (root,) = [span for span in spans.values() if span.name == "InferRequest"]
    assert root.parent_span_id.hex() == "b7ad6b7169242424"
    assert [event.name for event in root.events] == HTTP
    (caller,) = [number for number, span in spans.items() if span.name == "caller"]
    told = {"traceparent": f"00-0af7651916cd43dd8448eb211c12666c-{caller.hex()}-01"}
    assert texts == ["context: None", f"context: {json.dumps(told, separators=(',', ':'))}"]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> golden.Traces:
    options = "--model-repository {repository} --http-port {http} --grpc-port {grpc} --metrics-port {metrics}"
    return golden.collect(f"{sys.executable} -m jupyter_pyserve serve {options}", tmp_path_factory.mktemp("golden"))


@pytest.mark.parametrize("case", golden.CASES)
def test_traces_have_the_records_of_triton_s(ours: golden.Traces, case: str) -> None:
    assert ours[case] == golden.recorded()[case]
