"""Triton's own gRPC clients, unmodified, against a real engine: calls, streams, cancellation, options of the port."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from tritonclient.utils import InferenceServerException

from tests.process.client import Array, command
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine, Server, running_engine
from tests.process.repository import add_model
from tests.process.waiting import DEADLINE_S, wait_until
from tests.support.triton_grpc import outputs, to_input

HEADERS = {"authorization": f"token {TOKEN}"}
Serve = Callable[..., Server]


@pytest.fixture
def client(engine: Engine) -> Iterator[Any]:
    with triton.InferenceServerClient(engine.grpc_url) as client:
        yield client


@pytest.fixture
def repeat(engine: Engine) -> str:
    """The name of a loaded decoupled model."""
    return loaded(engine, "repeat")


def inputs(given: dict[str, Array]) -> list[Any]:
    return [to_input(name, array) for name, array in given.items()]


def deed(do: str, data: Any = None, **arguments: Any) -> list[Any]:
    """The inputs that make a puppet do something."""
    return inputs(command(do, data, **arguments))


def times(count: int, **texts: str) -> list[Any]:
    """The inputs that make a repeater repeat."""
    given: dict[str, Array] = {name: np.array([text.encode()], object) for name, text in texts.items()}
    return inputs({"COUNT": np.array([count], np.int32), **given})


def told(result: Any) -> Any:
    return json.loads(result.as_numpy("ANSWER")[0])


class Stream:
    """The answers that a client gets on a stream."""

    def __init__(self, client: Any, **options: Any) -> None:
        self._client = client
        self._answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(lambda result, error: self._answers.put((result, error)), headers=HEADERS, **options)

    def ask(self, model: str, given: list[Any], **options: Any) -> None:
        self._client.async_stream_infer(model, given, **options)

    def next(self) -> Any:
        result, error = self._answers.get(timeout=DEADLINE_S)
        if error is not None:
            raise error
        return result.get_response()

    def nothing_more(self) -> None:
        """End the stream; no answer may be left."""
        self._client.stop_stream()
        assert self._answers.empty()


# -- one request, one answer ------------------------------------------------------------------------------------------


def test_the_token_is_asked_for(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="authorization") as refusal:
        client.is_server_live()
    assert refusal.value.status() == "StatusCode.UNAUTHENTICATED"
    assert client.is_server_live(headers=HEADERS)


@pytest.mark.parametrize("count", [1, 1000, 5 << 20])
def test_arrays_of_any_size(client: Any, puppet: str, count: int) -> None:
    array = np.arange(count, dtype=np.float32)
    for _ in range(2):
        result = client.infer(puppet, deed("plus_one", array), headers=HEADERS)
        assert np.array_equal(result.as_numpy("RESULT"), array + 1)


def test_the_asyncio_client(engine: Engine, puppet: str, repeat: str) -> None:
    async def scenario() -> None:
        async with triton_aio.InferenceServerClient(engine.grpc_url) as client:
            results = await asyncio.gather(
                *(client.infer(puppet, deed("echo", value=number), headers=HEADERS) for number in range(50))
            )
            assert [told(result) for result in results] == list(range(50))

            async def requests() -> Any:
                for number in (2, 0, 1):
                    yield {"model_name": repeat, "inputs": times(number), "request_id": str(number)}

            found = []
            async for result, error in client.stream_infer(requests(), headers=HEADERS):
                assert error is None
                found.append((result.get_response().id, int(result.as_numpy("OUT")[0])))
            assert found == [("2", 0), ("2", 1), ("1", 0)]

    asyncio.run(scenario())


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_compressed_requests(client: Any, puppet: str, algorithm: str) -> None:
    array = np.zeros(100_000, np.float32)
    result = client.infer(puppet, deed("plus_one", array), headers=HEADERS, compression_algorithm=algorithm)
    assert result.as_numpy("RESULT").sum() == 100_000


def test_the_health_service(fresh_engine: Engine) -> None:
    with grpc.insecure_channel(fresh_engine.grpc_url) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"\x0a\x03any", metadata=tuple(HEADERS.items()), timeout=DEADLINE_S) == b"\x08\x01"
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        with pytest.raises(grpc.RpcError) as refusal:
            next(watch(b"", metadata=tuple(HEADERS.items()), timeout=DEADLINE_S))
        assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_failures_keep_their_texts(client: Any, puppet: str) -> None:
    with pytest.raises(InferenceServerException) as failure:
        client.infer(puppet, deed("no such deed"), headers=HEADERS)
    assert failure.value.status() == "StatusCode.INTERNAL"
    assert "AttributeError: 'Deeds' object has no attribute 'no such deed'\n\nAt:\n" in failure.value.message()


def test_a_dead_stub(client: Any, puppet: str) -> None:
    with pytest.raises(InferenceServerException, match="is not healthy") as failure:
        client.infer(puppet, deed("exit"), headers=HEADERS)
    assert failure.value.status() == "StatusCode.INTERNAL"
    assert told(client.infer(puppet, deed("echo", value="back"), headers=HEADERS)) == "back"


# -- nobody waits any more --------------------------------------------------------------------------------------------


def test_a_cancelled_call(engine: Engine, client: Any, puppet: str, tmp_path: Path) -> None:
    gate, seen, answers = engine.gate(), tmp_path / "seen", queue.Queue[Any]()
    work = deed("watch_for_cancel", gate=str(gate), seen=str(seen))
    call = client.async_infer(puppet, work, lambda result, error: answers.put(error), headers=HEADERS)
    gate.wait_until_entered()
    call.cancel()
    gate.open()
    wait_until(seen.exists, "the model sees it")
    assert "CANCELLED" in str(answers.get(timeout=DEADLINE_S))


def test_a_deadline(engine: Engine, client: Any, puppet: str, tmp_path: Path) -> None:
    gate, seen = engine.gate(), tmp_path / "seen"
    work = deed("watch_for_cancel", gate=str(gate), seen=str(seen))
    late = engine.later(lambda: client.infer(puppet, work, headers=HEADERS, client_timeout=0.2))
    gate.open()
    wait_until(seen.exists, "the model sees it")
    with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
        late.result(DEADLINE_S)


def test_a_stream_that_is_given_up(engine: Engine, client: Any, repeat: str, puppet: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    stream = Stream(client)
    stream.ask(repeat, times(-1, SEEN=str(seen)))
    assert stream.next().model_name == repeat
    client.stop_stream(cancel_requests=True)
    wait_until(seen.exists, "the model sees it")


def test_a_client_that_reads_nothing(engine: Engine, repeat: str, tmp_path: Path) -> None:
    """Its answers fill the windows, and then the model's memory; others are not kept waiting by that."""
    with grpc.insecure_channel(engine.grpc_url) as channel:
        ask = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        seen = tmp_path / "seen"
        request = triton.service_pb2.ModelInferRequest(model_name=repeat)
        for tensor in times(-1, SEEN=str(seen)):
            request.inputs.append(tensor._get_tensor())
            request.raw_input_contents.append(tensor._get_content())
        idle = queue.Queue[Any]()
        idle.put(request.SerializeToString())
        call = ask(iter(idle.get, None), metadata=tuple(HEADERS.items()))
        next(call)
        with triton.InferenceServerClient(engine.grpc_url) as other:
            assert other.is_server_live(headers=HEADERS)
        call.cancel()
        idle.put(None)
    wait_until(seen.exists, "the model sees it")


# -- streams ----------------------------------------------------------------------------------------------------------


def test_any_number_of_answers(client: Any, repeat: str) -> None:
    stream = Stream(client)
    for count in (3, 0, 2000):
        stream.ask(repeat, times(count), request_id=str(count), enable_empty_final_response=True)
        for number in range(count):
            answer = stream.next()
            assert answer.id == str(count)
            assert int.from_bytes(answer.raw_output_contents[0], "little") == number
            assert not answer.parameters["triton_final_response"].bool_param
        last = stream.next()
        assert (last.id, last.parameters["triton_final_response"].bool_param, len(last.outputs)) == (
            str(count),
            True,
            0,
        )
    stream.nothing_more()


def test_requests_of_one_stream_run_together(engine: Engine, client: Any, puppet: str, repeat: str) -> None:
    gate = engine.gate()
    stream = Stream(client)
    stream.ask(puppet, deed("hold", gate=str(gate)), request_id="slow")
    gate.wait_until_entered()
    stream.ask(repeat, times(2), request_id="many")
    assert [stream.next().id for _ in range(2)] == ["many", "many"]
    second = loaded(engine, "puppet")
    stream.ask(second, deed("echo", value=1), request_id="later")
    wait_until(lambda: engine.instances(second)[0]["requests"] == 1, "the later one is done")
    gate.open()
    assert [stream.next().id for _ in range(2)] == ["slow", "later"]
    stream.nothing_more()


def test_a_failure_does_not_end_the_stream(client: Any, puppet: str) -> None:
    stream = Stream(client)
    stream.ask("nobody", deed("echo"))
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody' is not found"):
        stream.next()
    stream.ask(puppet, deed("no such deed"))
    with pytest.raises(InferenceServerException, match="AttributeError"):
        stream.next()
    stream.ask(puppet, deed("echo", value=1))
    assert stream.next().model_name == puppet
    stream.nothing_more()


# -- the port ---------------------------------------------------------------------------------------------------------


def test_answers_are_compressed_if_told_to() -> None:
    with running_engine("--grpc-infer-response-compression-level=high") as engine:
        puppet = loaded(engine, "puppet")
        with triton.InferenceServerClient(engine.grpc_url) as client:
            result = client.infer(puppet, deed("give", count=1 << 20), headers=HEADERS)
            assert not result.as_numpy("RESULT").any()


def test_tls(tmp_path: Path, serve: Serve) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    files = ("-keyout", str(key), "-out", str(certificate))
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subprocess.run(["openssl", "req", "-x509", *new_key, *files, *subject], check=True, capture_output=True)
    add_model(tmp_path / "models", "puppet")
    options = ("--grpc-use-ssl-mutual=true", f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}")
    server = serve(tmp_path / "models", *options, f"--grpc-root-cert={certificate}")
    server.wait_until_ready()
    trusted = {"root_certificates": str(certificate), "private_key": str(key), "certificate_chain": str(certificate)}
    with triton.InferenceServerClient(server.grpc_url, ssl=True, **trusted) as client:
        assert told(client.infer("puppet", deed("echo", value=1))) == 1
        array = np.arange(1 << 20, dtype=np.float32)
        assert np.array_equal(client.infer("puppet", deed("plus_one", array)).as_numpy("RESULT"), array + 1)

    async def other_client() -> None:
        async with triton_aio.InferenceServerClient(server.grpc_url, ssl=True, **trusted) as client:
            assert told(await client.infer("puppet", deed("echo", value=2))) == 2

    asyncio.run(other_client())
    nobody = {"root_certificates": str(certificate)}
    with (
        triton.InferenceServerClient(server.grpc_url, ssl=True, **nobody) as stranger,
        pytest.raises(InferenceServerException),
    ):
        stranger.is_server_live()


def test_a_port_that_is_taken(serve: Serve, tmp_path: Path) -> None:
    add_model(tmp_path / "models", "puppet")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = serve(tmp_path / "models", "--grpc-port", str(port))
        assert server.wait() == 1
    text = f"failed to start GRPC service: Unavailable - Socket '127.0.0.1:{port}' already in use"
    assert text in server.log.read_text()


def test_one_port_for_both_is_refused(serve: Serve, tmp_path: Path) -> None:
    add_model(tmp_path / "models", "puppet")
    server = serve(tmp_path / "models", "--http-port", "1", "--grpc-port", "1")
    assert server.wait() == 1
    text = "The server cannot listen to HTTP requests and GRPC requests at the same address and port 127.0.0.1:1"
    assert text in server.log.read_text()


def test_no_port(serve: Serve, tmp_path: Path) -> None:
    add_model(tmp_path / "models", "puppet")
    server = serve(tmp_path / "models", "--allow-grpc=false")
    assert server.wait_until_ready().get("/v2/health/ready").status == 200
    assert "GRPCInferenceService" not in server.log.read_text()


def test_what_is_asked_is_answered_before_the_end() -> None:
    with running_engine() as engine:
        puppet, gate = loaded(engine, "puppet"), engine.gate()
        with triton.InferenceServerClient(engine.grpc_url) as client:
            stream = Stream(client)
            stream.ask(puppet, deed("hold", gate=str(gate)), request_id="held")
            gate.wait_until_entered()
            engine.process.terminate()
            wait_until(lambda: "Waiting for in-flight requests" in engine.log.read_text(), "it is ending")
            gate.open()
            assert stream.next().id == "held"
            stream.nothing_more()
        assert engine.process.wait(60) == 0


def test_outputs_by_name(client: Any, puppet: str) -> None:
    wanted = [triton.InferRequestedOutput("ANSWER")]
    result = client.infer(puppet, deed("echo", value=1), outputs=wanted, headers=HEADERS)
    assert list(outputs(result)) == ["ANSWER"]


def test_a_client_that_learns_the_service_from_the_server(serve: Serve, tmp_path: Path) -> None:
    add_model(tmp_path / "models", "repeat")
    server = serve(tmp_path / "models")
    with grpc.insecure_channel(server.grpc_url) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        method = (
            DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService").methods_by_name["ServerLive"]
        )
        request, answer = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ServerLive",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )
        assert call(request()).live
