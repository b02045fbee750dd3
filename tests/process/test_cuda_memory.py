"""Regions that a client registers on a GPU: with a library that stands for the driver, and with a real one if there is.

The engine, its courier and its stubs are processes of their own either way, and so is the client, which is this one.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import signal
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
import tritonclient.http as http
from google.protobuf.json_format import MessageToDict

from tests.process import machine
from tests.process.client import Answer, outputs
from tests.process.conftest import loaded
from tests.process.engine import TOKEN, Engine, running_engine
from tests.process.ensembles import ADD, SAME, chain, member
from tests.process.leaks import LeakCheck
from tests.process.waiting import wait_until
from tests.support.device import Device, build_stand_in

NBYTES = 5 << 20
HEADERS = {"authorization": f"token {TOKEN}"}
ON_DEVICE = 'parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "no" } }'
INVALID = "failed to register shared memory region: invalid args"


@dataclass
class Client:
    """An engine, a device, and a region "r" of the device's that the engine knows."""

    engine: Engine
    device: Device
    address: int = 0

    def register(self, name: str, handle: bytes, nbytes: int = NBYTES, *, device: int = 0) -> Answer:
        told = {"raw_handle": {"b64": base64.b64encode(handle).decode()}, "device_id": device, "byte_size": nbytes}
        return self.engine.http.post(f"/v2/cudasharedmemory/region/{name}/register", told)

    def unregister(self, name: str = "") -> Answer:
        return self.engine.http.post(f"/v2/cudasharedmemory{f'/region/{name}' if name else ''}/unregister")

    def put(self, offset: int, *numbers: float) -> None:
        self.device.write(self.address + offset, struct.pack(f"<{len(numbers)}f", *numbers))

    def get(self, offset: int, count: int) -> tuple[float, ...]:
        return struct.unpack(f"<{count}f", self.device.read(self.address + offset, 4 * count))

    def infer(self, model: str, asked: object) -> Answer:
        return self.engine.http.post(f"/v2/models/{model}/infer", asked)

    def courier(self) -> int:
        """The process that copies; 0 if there is none."""
        return next((pid for pid in self.engine.tree() if machine.title(pid) == "pyserve_courier"), 0)


def _real() -> str:
    try:
        found = ctypes.c_int()
        library = ctypes.CDLL("libcuda.so.1")
        if library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(found)) == 0 and found.value:
            return "libcuda.so.1"
    except OSError:
        pass
    pytest.skip("needs a CUDA device")


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.gpu)], scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, str]]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "stand-in":
            folder: Path = tmp_path_factory.mktemp("stand-in")
            library = str(build_stand_in(folder))
            patch.setenv("LD_LIBRARY_PATH", str(folder), prepend=os.pathsep)
        else:
            library = _real()
        with running_engine("--allow-client-shm=true") as engine:
            yield engine, library


@pytest.fixture
def client(running: tuple[Engine, str]) -> Iterator[Client]:
    engine, library = running
    leaks = LeakCheck(engine)
    found = Client(engine, Device(library))
    found.address = found.device.allocate(NBYTES)
    assert found.register("r", found.device.handle(found.address)).status == 200
    yield found
    assert found.unregister().status == 200
    found.device.close()
    leaks.check()


def place(offset: int, nbytes: int) -> dict[str, object]:
    return {"shared_memory_region": "r", "shared_memory_offset": offset, "shared_memory_byte_size": nbytes}


def tensor(name: str = "IN", count: int = 2, offset: int = 64) -> dict[str, object]:
    return {"name": name, "datatype": "FP32", "shape": [count], "parameters": place(offset, 4 * count)}


def wanted(name: str, offset: int = 256, nbytes: int = 8) -> dict[str, object]:
    return {"name": name, "parameters": place(offset, nbytes)}


def test_it_is_registered_shown_and_forgotten(client: Client) -> None:
    status = "/v2/cudasharedmemory"
    row = {"name": "r", "device_id": 0, "byte_size": NBYTES}
    assert client.engine.http.get(f"{status}/status").json() == [row]
    assert client.engine.http.get(f"{status}/region/r/status").json() == [row]
    handle = client.device.handle(client.address)
    assert client.register("r", handle).error == "shared memory region 'r' already in manager"
    other = client.engine.http.get("/v2/systemsharedmemory/region/r/status")
    assert other.error == "The region named 'r' is registered as CUDA shared memory, not system shared memory"
    assert client.engine.http.post("/v2/systemsharedmemory/unregister").status == 200
    assert client.unregister("nobody").status == 200
    assert client.register("twice", handle).status == 200
    assert client.unregister("twice").status == 200
    assert client.engine.http.get(f"{status}/status").json() == [row]


@pytest.mark.parametrize(("fault", "device"), [("handle", 0), ("size", 0), ("device", 999), ("device", 1 << 40)])
def test_what_cannot_be_opened_is_not_registered(client: Client, fault: str, device: int) -> None:
    handle = b"\7" * 64 if fault == "handle" else client.device.handle(client.address)
    room = 1 << 40 if fault == "size" else NBYTES
    refused = client.register("other", handle, room, device=device)
    assert (refused.status, refused.error) == (400, INVALID)
    assert len(client.engine.http.get("/v2/cudasharedmemory/status").json()) == 1


def test_inputs_and_outputs_stay_on_the_device(client: Client) -> None:
    model = member(client.engine, "add", ADD)
    client.put(64, 1.5, 2.5)
    answer = client.infer(model, {"inputs": [tensor("X")], "outputs": [wanted("Y")]})
    assert answer.json()["outputs"] == [{"name": "Y", "datatype": "FP32", "shape": [2]}]
    assert client.get(256, 2) == (2.5, 3.5)
    assert client.get(64, 2) == (1.5, 2.5)


def test_large_tensors(client: Client) -> None:
    model = member(client.engine, "large", ADD)
    count = NBYTES // 8 - 3
    given = np.arange(count, dtype=np.float32)
    client.device.write(client.address, given.tobytes())
    asked = {"inputs": [tensor("X", count, 0)], "outputs": [wanted("Y", 4 * count, 4 * count)]}
    assert client.infer(model, asked).status == 200
    found = np.frombuffer(client.device.read(client.address + 4 * count, 4 * count), np.float32)
    assert np.array_equal(found, given + 1)


def test_beside_other_inputs(client: Client) -> None:
    model = loaded(client.engine, "puppet")
    client.put(64, 1.5, 2.5)
    command = {"name": "COMMAND", "datatype": "BYTES", "shape": [1], "data": [json.dumps({"do": "plus_one"})]}
    asked = {"inputs": [tensor("DATA"), command], "outputs": [{"name": "RESULT"}]}
    assert outputs(client.infer(model, asked))["RESULT"].tolist() == [2.5, 3.5]


def test_strings_are_looked_at(client: Client) -> None:
    model = loaded(client.engine, "puppet")
    text = json.dumps({"do": "plus_one"}).encode()
    data = struct.pack("<I", len(text)) + text
    client.put(64, 1.5, 2.5)
    client.device.write(client.address + 512, data)
    command = {"name": "COMMAND", "datatype": "BYTES", "shape": [1], "parameters": place(512, len(data))}
    asked = {"inputs": [tensor("DATA"), command], "outputs": [{"name": "RESULT"}]}
    assert outputs(client.infer(model, asked))["RESULT"].tolist() == [2.5, 3.5]
    client.device.write(client.address + 512, struct.pack("<I", 1 << 30))
    assert client.infer(model, asked).status == 400


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (place(NBYTES, 8), "Invalid offset for shared memory region: 'r'"),
        (place(NBYTES - 4, 8), "Invalid offset + byte size for shared memory region: 'r'"),
        ({**place(0, 8), "shared_memory_region": "x"}, "Unable to find shared memory region: 'x'"),
    ],
)
def test_a_tensor_lies_inside(client: Client, parameters: dict[str, object], text: str) -> None:
    model = member(client.engine, f"inside{len(text)}", ADD)
    refused = client.infer(model, {"inputs": [{**tensor("X"), "parameters": parameters}]})
    assert refused.error == text


def test_an_output_that_does_not_fit(client: Client) -> None:
    model = member(client.engine, "short", ADD)
    client.put(256, 7.0, 7.0)
    refused = client.infer(model, {"inputs": [tensor("X")], "outputs": [wanted("Y", 256, 4)]})
    assert refused.status == 500
    assert "for output 'Y' (4 bytes) should be at least 8 bytes to hold the results" in refused.error
    assert client.get(256, 2) == (7.0, 7.0)


@pytest.mark.parametrize("body", [ADD, SAME])
def test_in_ensembles(client: Client, body: str) -> None:
    model = chain(client.engine, f"chain{body == ADD}", SAME, body)
    client.put(64, 1.5, 2.5)
    assert client.infer(model, {"inputs": [tensor()], "outputs": [wanted("OUT")]}).status == 200
    assert client.get(256, 2) == ((2.5, 3.5) if body == ADD else (1.5, 2.5))


@pytest.mark.parametrize(
    "extra", ["response_cache { enable: true }", "dynamic_batching { preserve_ordering: true }"], ids=["cache", "order"]
)
def test_models_of_other_kinds(client: Client, extra: str) -> None:
    name = f"kind{len(extra)}"
    batched = "max_batch_size: 4 " if "batching" in extra else ""
    model = member(client.engine, name, ADD, extra=f" {batched}{extra}")
    shape = [1, 2] if batched else [2]
    for first in (1.0, 1.0, 3.0):
        client.put(64, first, 2.5)
        client.put(256, 0.0, 0.0)
        asked = {"inputs": [{**tensor("X"), "shape": shape}], "outputs": [wanted("Y")]}
        assert client.infer(model, asked).status == 200
        assert client.get(256, 2) == (first + 1, 3.5)


def test_with_tritons_clients(client: Client) -> None:
    model = member(client.engine, "clients", ADD)
    handle = client.device.handle(client.address)
    client.unregister("r")
    for package, url in ((http, f"127.0.0.1:{client.engine.tcp.address[1]}"), (grpc, client.engine.grpc_url)):
        with package.InferenceServerClient(url) as server:
            server.register_cuda_shared_memory("r", base64.b64encode(handle), 0, NBYTES, headers=HEADERS)
            client.put(64, 1.5, 2.5)
            client.put(256, 0.0, 0.0)
            given = package.InferInput("X", [2], "FP32")
            given.set_shared_memory("r", 8, 64)
            result = package.InferRequestedOutput("Y")
            result.set_shared_memory("r", 8, 256)
            server.infer(model, [given], outputs=[result], headers=HEADERS)
            assert client.get(256, 2) == (2.5, 3.5)
            told = server.get_cuda_shared_memory_status(headers=HEADERS)
            (row,) = told if package is http else map(MessageToDict, told.regions.values())
            assert row["name"] == "r"
            server.unregister_cuda_shared_memory("r", headers=HEADERS)
    assert client.engine.http.get("/v2/cudasharedmemory/status").json() == []


def test_a_model_that_takes_inputs_where_they_are(client: Client) -> None:
    body = (
        "assert not x.is_cpu() and x.__dlpack_device__() == (2, 0); "
        'return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack("Y", x.to_dlpack())]); y = None'
    )
    model = member(client.engine, "there", body, extra=ON_DEVICE)
    client.put(64, 1.5, 2.5)
    asked = {"inputs": [tensor("X")], "outputs": [wanted("Y")]}
    for _ in range(2):
        client.put(256, 0.0, 0.0)
        answer = client.infer(model, asked)
        assert answer.status == 200, answer.error
        assert client.get(256, 2) == (1.5, 2.5)
    assert outputs(client.infer(model, {"inputs": [tensor("X")]}))["Y"].tolist() == [1.5, 2.5]
    looks = member(client.engine, "looks", SAME, extra=ON_DEVICE)
    refused = client.infer(looks, {"inputs": [tensor("X")]})
    assert "Tensor is stored in GPU and cannot be converted to NumPy." in refused.error


def test_an_input_on_a_device_is_passed_on_to_another_model(client: Client) -> None:
    callee = member(client.engine, "callee", ADD)
    body = (
        f'made = pb_utils.InferenceRequest(model_name="{callee}", requested_output_names=["Y"], inputs=[x]).exec(); '
        "y = made.output_tensors()[0].as_numpy()"
    )
    model = member(client.engine, "caller", body, extra=ON_DEVICE)
    client.put(64, 1.5, 2.5)
    answer = client.infer(model, {"inputs": [tensor("X")], "outputs": [wanted("Y")]})
    assert answer.status == 200, answer.error
    assert client.get(256, 2) == (2.5, 3.5)


def test_an_output_of_a_request_that_brings_its_inputs(client: Client) -> None:
    model = member(client.engine, "brings", ADD)
    given = {"name": "X", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
    text = json.dumps({"inputs": [given], "outputs": [wanted("Y")]}).encode()
    length = {"Inference-Header-Content-Length": str(len(text))}
    for first in (1.5, 4.5):
        body = text + struct.pack("<2f", first, 2.5)
        assert client.engine.http.send("POST", f"/v2/models/{model}/infer", body, length).status == 200
        assert client.get(256, 2) == (first + 1, 3.5)


def test_a_region_in_use_is_forgotten_later(client: Client) -> None:
    model = loaded(client.engine, "puppet")
    gate = client.engine.gate()
    command = {
        "name": "COMMAND",
        "datatype": "BYTES",
        "shape": [1],
        "data": [json.dumps({"do": "hold", "gate": str(gate)})],
    }
    running = client.engine.later(client.infer, model, {"inputs": [tensor("DATA"), command]})
    gate.wait_until_entered()
    refused = client.unregister("r")
    assert refused.error == "Cannot unregister shared memory region 'r', it is currently in use."
    gate.open()
    assert running.result().status == 200
    wait_until(lambda: not client.engine.http.get("/v2/cudasharedmemory/status").json(), "the region is forgotten")


def test_a_courier_that_dies_has_a_successor(client: Client) -> None:
    model = member(client.engine, "again", ADD)
    client.put(64, 1.5, 2.5)
    first = client.courier()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: client.courier() != first, "it is gone")
    assert client.infer(model, {"inputs": [tensor("X")], "outputs": [wanted("Y")]}).status == 200
    assert client.get(256, 2) == (2.5, 3.5)
    assert client.courier()


def test_it_is_gone_when_nothing_is_registered(client: Client) -> None:
    assert client.courier()
    client.unregister("r")
    wait_until(lambda: not client.courier(), "the process that held the device is gone")
