"""The real engine behind a Jupyter server in a process of its own, used as a notebook's neighbours use it."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.jupyter.server_process import TOKEN, ServerProcess, is_gone, running_server, wait_until

SOURCE = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [-1]})
        config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]})
        config.set_max_batch_size(0)
        return config

    def execute(self, requests):
        inputs = [pb_utils.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", array + 1)]) for array in inputs]
"""
LARGE = 70 * 1000 * 1000
HEADERS = {"Authorization": f"token {TOKEN}"}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with tempfile.TemporaryDirectory(prefix="ps") as folder, running_server(Path(folder), {}) as server:
        yield server


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}/pyserve") as client:
        yield client


def call(
    server: ServerProcess, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] = HEADERS
) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/pyserve{path}", data=data, headers=headers)
    with urllib.request.urlopen(request) as response:
        return bytes(response.read())


def status(server: ServerProcess) -> Any:
    return json.loads(call(server, "/api/status"))


def deploy(server: ServerProcess, name: str) -> list[Any]:
    lines = call(server, f"/api/models/{name}/deploy", {"source": SOURCE, "config": None}).splitlines()
    return [json.loads(line) for line in lines]


def infer(client: Any, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    tensor = triton.InferInput("X", list(array.shape), "FP32")
    tensor.set_data_from_numpy(array)
    result: np.ndarray[Any, Any] = client.infer(name, [tensor], headers=HEADERS).as_numpy("Y")
    return result


def test_the_engine_tells_what_it_is(server: ServerProcess) -> None:
    told = status(server)["engine"]
    assert told["state"] == "READY"
    assert told["pid"] != server.pid
    assert told["http_url"].startswith("http://127.0.0.1:")
    assert json.loads(call(server, "/v2"))["name"]


def test_an_unmodified_client_with_the_token(server: ServerProcess, client: Any) -> None:
    assert deploy(server, "plus_one")[-1]["event"] == "ready"
    assert client.is_server_live(headers=HEADERS)
    assert client.is_model_ready("plus_one", headers=HEADERS)
    array = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(infer(client, "plus_one", array), array + 1)


def test_an_unmodified_client_without_it(client: Any) -> None:
    with pytest.raises(triton.InferenceServerException, match="Forbidden"):
        client.get_server_metadata()


def test_errors_are_the_engines(client: Any) -> None:
    with pytest.raises(
        triton.InferenceServerException, match="Request for unknown model: 'absent' is not found"
    ) as failure:
        infer(client, "absent", np.zeros(1, np.float32))
    assert failure.value.status() in {"400", "404"}


def test_wrong_verbs_are_answered_by_the_engine(server: ServerProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as failure:
        call(server, "/v2/health/live", {})
    with failure.value as answer:
        assert (answer.code, answer.reason) == (405, "Not Allowed")
        assert json.loads(answer.read()) == {"error": "Method Not Allowed"}


def test_a_large_tensor_through_the_proxy(server: ServerProcess, client: Any) -> None:
    deploy(server, "plus_one")
    array = np.arange(LARGE // 4, dtype=np.float32)
    server.reset_peak_rss()
    before = server.peak_rss()
    np.testing.assert_array_equal(infer(client, "plus_one", array), array + 1)
    assert server.peak_rss() - before < 24 << 20


def test_the_direct_port_asks_for_the_token(server: ServerProcess) -> None:
    url = f"{status(server)['engine']['http_url']}/v2"
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(url)
    failure.value.close()
    assert failure.value.code in {401, 403}
    with urllib.request.urlopen(urllib.request.Request(url, headers=HEADERS)) as response:
        assert response.status == 200


def test_a_killed_engine_comes_back_with_its_models(server: ServerProcess, client: Any) -> None:
    deploy(server, "plus_one")
    pid = status(server)["engine"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), "the engine is gone")
    assert status(server)["engine"]["pid"] != pid
    wait_until(lambda: client.is_model_ready("plus_one", headers=HEADERS), "the model is back")
    array = np.ones(3, np.float32)
    np.testing.assert_array_equal(infer(client, "plus_one", array), array + 1)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=lambda signum: signum.name)
def test_nothing_runs_on_when_jupyter_ends(signum: signal.Signals) -> None:
    with tempfile.TemporaryDirectory(prefix="ps") as folder, running_server(Path(folder), {}) as server:
        deploy(server, "plus_one")
        told = status(server)
        pids = [told["engine"]["pid"], *(one["pid"] for model in told["models"] for one in model["instances"])]
        assert len(pids) == 2
        server.process.send_signal(signum)
        server.process.wait()
        wait_until(lambda: all(map(is_gone, pids)), "the engine and its stubs are gone")
        if signum == signal.SIGTERM:
            assert server.engine_folders() == []
