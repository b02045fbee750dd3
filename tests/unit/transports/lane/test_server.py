from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest
from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.wire import frames
from pyserve_stub.wire.datatypes import CODES
from pyserve_stub.wire.layout import TensorMeta, encode_layout

from jupyter_pyserve.engine.peers.shared_arrays import SharedArrays
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import EngineSettings
from jupyter_pyserve.transports.lane.server import LaneConnection
from tests.support.turning import until
from tests.unit.transports.http.fakes import FakeServable, signature

MIB = 1 << 20


class Registry:
    def __init__(self, servable: FakeServable) -> None:
        self.routes = {("m", ""): servable}
        self.servable = servable

    def all_servables(self) -> list[FakeServable]:
        return [self.servable]


class Service:
    def __init__(self, servable: FakeServable) -> None:
        self.settings = EngineSettings(arena_limit_nbytes=4 * MIB)
        self.registry = Registry(servable)
        self.accepting = True
        self.shared = SharedArrays()

    def lookup(self, name: str, version: str = "") -> FakeServable:
        if name != "m":
            raise PyServeError(Code.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
        return self.registry.servable


class Client:
    """The other end of a lane, by hand."""

    def __init__(self, servable: FakeServable | None = None) -> None:
        self.servable = servable or FakeServable()
        self.service = Service(self.servable)
        ours, self.sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.setblocking(False)
        self.gone: list[Any] = []
        self.lane = LaneConnection(cast(Any, self.service), ours, self.gone.append)
        self.fds: list[int] = []

    async def receive(self) -> bytes:
        while True:
            try:
                data, fds = receive_packet(self.sock)
            except BlockingIOError:
                await asyncio.sleep(0)
                continue
            self.fds += fds
            return data

    async def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        send_packet(self.sock, frames.encode_cold(frames.CALL, {"id": 1, "op": op, **arguments}))
        return frames.decode_cold(await self.receive())

    async def grow(self) -> int:
        reply = await self.call("grow", nbytes=1000)
        segment: int = reply["segments"][0]["id"]
        return segment

    def infer(
        self,
        key: int,
        descriptors: Sequence[tuple[int, int, int, int]],
        *,
        shape: tuple[int, ...] = (2,),
        datatype: str = "FP32",
        **fields: Any,
    ) -> None:
        meta = json.dumps({"model": "m", **fields}).encode()
        layout = encode_layout([TensorMeta("IN", CODES[datatype], shape)] * len(descriptors))
        request = (key, meta, layout, list(descriptors))
        send_packet(self.sock, frames.encode_execute((cast(Any, request),), (), frames.INFER))

    async def answer(self) -> Any:
        data = await self.receive()
        assert data[0] == frames.RESPONSES, data
        ((key, code, flags, _, text, descriptors),) = frames.decode_responses(data)[0]
        return key, code, flags, text, descriptors

    async def submitted(self) -> None:
        await until(lambda: self.servable.jobs)

    async def closed(self) -> None:
        await until(lambda: self.gone)


def play(scenario: Callable[[Client], Awaitable[None]], servable: FakeServable | None = None) -> Client:
    async def run() -> Client:
        client = Client(servable)
        await scenario(client)
        client.lane.close()
        client.sock.close()
        for fd in client.fds:
            os.close(fd)
        return client

    return asyncio.run(run())


def test_greeting() -> None:
    async def scenario(client: Client) -> None:
        assert (await client.call("hello", magic=frames.MAGIC, version=frames.VERSION))["ok"] is True
        refused = await client.call("hello", magic=frames.MAGIC, version=frames.VERSION + 1)
        assert (refused["ok"], str(frames.VERSION) in refused["error"]) == (False, True)

    play(scenario)


def test_memory_is_handed_over_up_to_the_limit() -> None:
    async def scenario(client: Client) -> None:
        reply = await client.call("grow", nbytes=1000)
        (segment,) = reply["segments"]
        assert (segment["writable"], segment["nbytes"] >= 1064, len(client.fds)) == (True, True, 1)
        assert os.fstat(client.fds[0]).st_size == segment["nbytes"]
        refused = await client.call("grow", nbytes=100 * MIB)
        assert (refused["ok"], "at most" in refused["error"]) == (False, True)

    play(scenario)


def test_an_answer_out_of_the_requests_own_memory() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        os.pwrite(client.fds[0], b"abcdefgh", 64)
        client.infer(9, [(segment, 64, 8, 0)])
        await client.submitted()
        job = client.servable.jobs[0]
        assert bytes(job.memory.view(segment, 64, 8)) == b"abcdefgh"
        client.servable.echo()
        key, code, flags, _, descriptors = await client.answer()
        assert (key, code, flags) == (9, 0, frames.FINAL | frames.INPUTS_RELEASED)
        assert [tuple(item) for item in descriptors] == [(segment, 64, 8, 0)]

    assert play(scenario).servable.outstanding == 0


def test_an_error_of_the_model() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        await client.submitted()
        client.servable.fail(Code.UNAVAILABLE, "told you")
        key, code, flags, text, _ = await client.answer()
        assert (key, code, text) == (1, Code.UNAVAILABLE + 1, b"told you")
        assert flags == frames.FINAL | frames.INPUTS_RELEASED

    play(scenario)


@pytest.mark.parametrize(
    ("fields", "shape", "datatype", "nbytes", "text"),
    [
        ({"model": "x"}, (2,), "FP32", 8, "Request for unknown model: 'x' is not found"),
        ({}, (2,), "INT32", 8, "data-type is 'INT32'"),
        ({}, (3,), "FP32", 8, "Expected 12, got 8"),
        ({"outputs": ["NO"]}, (2,), "FP32", 8, "unexpected inference output 'NO'"),
    ],
)
def test_refusals(fields: dict[str, Any], shape: tuple[int, ...], datatype: str, nbytes: int, text: str) -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        client.infer(1, [(segment, 0, nbytes, 0)], shape=shape, datatype=datatype, **fields)
        _, code, flags, told, _ = await client.answer()
        assert text in told.decode()
        assert code in (Code.NOT_FOUND + 1, Code.INVALID_ARG + 1)
        assert flags == frames.FINAL | frames.INPUTS_RELEASED | frames.REFUSED

    client = play(scenario)
    assert (client.servable.jobs, client.servable.outstanding) == ([], 0)


def test_what_the_queue_refuses() -> None:
    async def scenario(client: Client) -> None:
        client.servable.refusal = PyServeError(Code.UNAVAILABLE, "Exceeds maximum queue size")
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        _, _, flags, text, _ = await client.answer()
        assert (text, flags) == (b"Exceeds maximum queue size", frames.FINAL | frames.INPUTS_RELEASED | frames.REFUSED)

    assert play(scenario).servable.outstanding == 0


def test_an_engine_that_stops_takes_nothing_more() -> None:
    async def scenario(client: Client) -> None:
        client.service.accepting = False
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        assert (await client.answer())[1] == Code.UNAVAILABLE + 1

    play(scenario)


def test_strings_are_checked_in_the_clients_memory() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        os.pwrite(client.fds[0], b"\x09\x00\x00\x00ab", 0)
        client.infer(1, [(segment, 0, 6, 0)], shape=(1,), datatype="BYTES")
        _, code, _, text, _ = await client.answer()
        assert (code, b"incomplete string data" in text) == (Code.INVALID_ARG + 1, True)

    play(scenario, FakeServable(signature(datatype="BYTES")))


def test_a_cancelled_request_is_forgotten() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        await client.submitted()
        send_packet(client.sock, frames.encode_keys(frames.CANCEL, (1, 77)))
        await until(lambda: client.servable.cancelled)
        client.servable.echo()
        assert (await client.receive())[0] == frames.RELEASE

    play(scenario)


BROKEN: dict[str, Callable[[int], bytes]] = {
    "unknown frame": lambda segment: b"\xfe",
    "not json": lambda segment: bytes([frames.CALL]) + b"{",
    "unknown call": lambda segment: frames.encode_cold(frames.CALL, {"id": 1, "op": "x"}),
    "no id": lambda segment: frames.encode_cold(frames.CALL, {"op": "hello"}),
    "cut short": lambda segment: bytes([frames.INFER]) + b"\x00\x01\x00",
    "outside": lambda segment: request([(segment, 0, 1 << 40, 0)]),
    "far outside": lambda segment: request([(segment, (1 << 64) - 4, 8, 0)]),
    "foreign": lambda segment: request([(segment + 1000, 0, 8, 0)]),
    "too few tensors": lambda segment: request([]),
    "not an object": lambda segment: request([(segment, 0, 8, 0)], b"[1]"),
    "no model": lambda segment: request([(segment, 0, 8, 0)], b"{}"),
}


def request(descriptors: Sequence[tuple[int, int, int, int]], meta: bytes = b'{"model":"m"}') -> bytes:
    layout = encode_layout([TensorMeta("IN", CODES["FP32"], (2,))])
    return frames.encode_execute((cast(Any, (1, meta, layout, list(descriptors))),), (), frames.INFER)


@pytest.mark.parametrize("case", BROKEN)
def test_who_breaks_the_protocol_is_let_go(case: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        send_packet(client.sock, BROKEN[case](segment))
        await client.closed()

    client = play(scenario)
    assert (client.servable.jobs, client.servable.outstanding) == ([], 0)
    assert "broke the protocol" in caplog.text


def test_the_same_key_twice() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        client.infer(1, [(segment, 0, 8, 0)])
        await client.closed()

    play(scenario)


def test_a_client_that_goes() -> None:
    async def scenario(client: Client) -> None:
        segment = await client.grow()
        client.infer(1, [(segment, 0, 8, 0)])
        await client.submitted()
        client.sock.close()
        await client.closed()
        assert len(client.servable.cancelled) == 1
        assert client.servable.detached == [segment]
        client.servable.echo()

    assert play(scenario).servable.outstanding == 0
