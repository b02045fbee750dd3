"""Regions that a client registers, with real models and both protocols."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator

import numpy as np
import posix_ipc
import pytest
import tritonclient.grpc as client

from tests.process.client import outputs
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine, running_engine
from tests.process.ensembles import ADD, SAME, chain, member
from tests.process.leaks import LeakCheck
from tests.process.waiting import wait_until

KEY = f"/pyserve-test-{os.getpid()}"
NBYTES = 1 << 16


@pytest.fixture
def sharing() -> Iterator[Engine]:
    with running_engine("--allow-client-shm=true") as engine:
        leaks = LeakCheck(engine)
        yield engine
        engine.http.post("/v2/systemsharedmemory/unregister")
        leaks.check()


@pytest.fixture
def memory(sharing: Engine) -> Iterator[posix_ipc.SharedMemory]:
    made = posix_ipc.SharedMemory(KEY, posix_ipc.O_CREX, size=NBYTES)
    answer = sharing.http.post("/v2/systemsharedmemory/region/r/register", {"key": KEY, "byte_size": NBYTES})
    assert answer.status == 200, answer.body
    yield made
    made.close_fd()
    made.unlink()


def place(offset: int, nbytes: int) -> dict[str, object]:
    return {"shared_memory_region": "r", "shared_memory_offset": offset, "shared_memory_byte_size": nbytes}


def request(do: str, *, count: int = 2, outputs: object = None) -> dict[str, object]:
    text = json.dumps({"do": do})
    inputs = [
        {"name": "DATA", "datatype": "FP32", "shape": [count], "parameters": place(64, 4 * count)},
        {"name": "COMMAND", "datatype": "BYTES", "shape": [1], "data": [text]},
    ]
    return {"inputs": inputs, "outputs": outputs or [{"name": "RESULT", "parameters": place(256, 64)}]}


def test_who_changes_its_memory_changes_nobody_elses_answers() -> None:
    memory = posix_ipc.SharedMemory(KEY, posix_ipc.O_CREX, size=NBYTES)
    try:
        with running_engine("--allow-client-shm=true", "--cache-config=local,size=100000") as engine:
            # What a client does at the right moment, its model does here: other bytes to read, and back again.
            body = f"r = np.memmap('/dev/shm{KEY}', np.float32, 'r+'); r[0] = 5; y = x.as_numpy() * 2; r[0] = 1"
            name = member(engine, "doubled", body, extra=" response_cache { enable: true }")
            os.pwrite(memory.fd, struct.pack("<f", 1), 0)
            region = {"key": KEY, "byte_size": NBYTES}
            assert engine.http.post("/v2/systemsharedmemory/region/r/register", region).status == 200
            tensor = {"name": "X", "datatype": "FP32", "shape": [1], "parameters": place(0, 4)}
            answer = engine.http.post(f"/v2/models/{name}/infer", {"inputs": [tensor]})
            assert answer.json()["outputs"][0]["data"] == [10]
            assert outputs(engine.infer(name, {"X": np.ones(1, np.float32)}))["Y"].tolist() == [2]
            assert engine.http.post(f"/v2/models/{name}/infer", {"inputs": [tensor]}).json()["outputs"][0]["data"] == [
                2
            ]
    finally:
        memory.close_fd()
        memory.unlink()


def test_inputs_and_outputs_stay_with_the_client(sharing: Engine, memory: posix_ipc.SharedMemory) -> None:
    model = loaded(sharing, "puppet")
    os.pwrite(memory.fd, struct.pack("<2f", 1.5, 2.5), 64)
    answer = sharing.http.post(f"/v2/models/{model}/infer", request("plus_one"))
    assert answer.json()["outputs"] == [{"name": "RESULT", "datatype": "FP32", "shape": [2]}]
    assert struct.unpack("<2f", os.pread(memory.fd, 8, 256)) == (2.5, 3.5)


def test_over_grpc(sharing: Engine, memory: posix_ipc.SharedMemory) -> None:
    model = loaded(sharing, "puppet")
    url = sharing.http.get("/api/status").json()["engine"]["grpc_url"]
    os.pwrite(memory.fd, struct.pack("<2f", 1.5, 2.5), 64)
    data = client.InferInput("DATA", [2], "FP32")
    data.set_shared_memory("r", 8, 64)
    command = client.InferInput("COMMAND", [1], "BYTES")
    command.set_data_from_numpy(np.array([b'{"do": "plus_one"}'], object))
    result = client.InferRequestedOutput("RESULT")
    result.set_shared_memory("r", 8, 256)
    with client.InferenceServerClient(url) as server:
        headers = {"authorization": f"token {TOKEN}"}
        answer = server.infer(model, [data, command], outputs=[result], headers=headers)
        assert answer.get_output("RESULT").shape == [2]
        assert list(server.get_system_shared_memory_status(headers=headers).regions) == ["r"]
    assert struct.unpack("<2f", os.pread(memory.fd, 8, 256)) == (2.5, 3.5)


def test_an_output_of_a_request_that_brings_its_inputs(sharing: Engine, memory: posix_ipc.SharedMemory) -> None:
    model = chain(sharing, "brings", ADD)
    for _ in range(2):
        header = {"inputs": [{**tensor(2), "parameters": {"binary_data_size": 8}}], "outputs": [placed("OUT", 256, 8)]}
        text = json.dumps(header).encode()
        length = {"Inference-Header-Content-Length": str(len(text))}
        path = f"/v2/models/{model}/infer"
        answer = sharing.http.send("POST", path, text + struct.pack("<2f", 1.5, 2.5), length)
        assert answer.json()["outputs"] == [{"name": "OUT", "datatype": "FP32", "shape": [2]}]
        assert struct.unpack("<2f", os.pread(memory.fd, 8, 256)) == (2.5, 3.5)
        os.pwrite(memory.fd, bytes(8), 256)


@pytest.mark.parametrize("body", [ADD, SAME])
def test_memory_of_clients_in_ensembles(sharing: Engine, memory: posix_ipc.SharedMemory, body: str) -> None:
    model = chain(sharing, "passes", SAME, body)
    expected = (2.5, 3.5) if body == ADD else (1.5, 2.5)
    os.pwrite(memory.fd, struct.pack("<2f", 1.5, 2.5), 64)
    asked = {"inputs": [{**tensor(2), "parameters": place(64, 8)}]}
    path = f"/v2/models/{model}/infer"
    assert outputs(sharing.http.post(path, asked))["OUT"].tolist() == list(expected)
    answer = sharing.http.post(path, {**asked, "outputs": [placed("OUT", 256, 8)]})
    assert answer.status == 200
    assert struct.unpack("<2f", os.pread(memory.fd, 8, 256)) == expected
    assert struct.unpack("<2f", os.pread(memory.fd, 8, 64)) == (1.5, 2.5)


def tensor(count: int) -> dict[str, object]:
    return {"name": "IN", "datatype": "FP32", "shape": [count]}


def placed(name: str, offset: int, nbytes: int) -> dict[str, object]:
    return {"name": name, "parameters": place(offset, nbytes)}


def test_an_output_that_does_not_fit(sharing: Engine, memory: posix_ipc.SharedMemory) -> None:
    model = loaded(sharing, "puppet")
    asked = request("plus_one", outputs=[{"name": "RESULT", "parameters": place(256, 4)}])
    answer = sharing.http.post(f"/v2/models/{model}/infer", asked)
    assert answer.status == 500
    assert "for output 'RESULT' (4 bytes) should be at least 8 bytes to hold the results" in answer.error


def test_a_client_that_takes_its_memory_away_harms_nobody_else(sharing: Engine, memory: posix_ipc.SharedMemory) -> None:
    model = loaded(sharing, "puppet")
    asked = request("plus_one", count=1024)
    assert sharing.http.post(f"/v2/models/{model}/infer", {**asked, "outputs": [{"name": "ANSWER"}]}).status == 200
    os.ftruncate(memory.fd, 0)
    answer = sharing.http.post(f"/v2/models/{model}/infer", {**asked, "outputs": [{"name": "ANSWER"}]})
    assert answer.status >= 400
    wait_until(lambda: sharing.ready(model), "the model is back, if it died of it")
