"""Compressed requests and answers: small ones at once, large ones while the connection waits."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jupyter_pyserve.errors import Code
from jupyter_pyserve.settings import Category, Key
from jupyter_pyserve.transports.http import exchange
from jupyter_pyserve.transports.http.head import Gate, HeadParser
from jupyter_pyserve.v2.forwarding import HeaderPattern
from tests.unit.transports.http.fakes import LIMIT, FakeApplication, Wire, request

INFER = "/v2/models/m/infer"
DEFLATE = "Content-Encoding: deflate"


def body_of(count: int, *, text: str = "") -> tuple[bytes, int]:
    """A binary inference of so many floats, and the length of its JSON."""
    tensor = {"name": "IN", "datatype": "FP32", "shape": [count], "parameters": {"binary_data_size": 4 * count}}
    told = {"id": text, "inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(told).encode()
    noise = random.Random(7)
    return head + struct.pack(f"<{count}f", *[noise.random() for _ in range(count)]), len(head)


def asking(count: int, *headers: str) -> bytes:
    body, length = body_of(count)
    return request("POST", INFER, zlib.compress(body), f"Inference-Header-Content-Length: {length}", DEFLATE, *headers)


async def until(true: Callable[[], object]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1_000_000):
        if true():
            return
        await asyncio.sleep(0)
    raise TimeoutError


def play(scenario: Callable[[Wire], Awaitable[None]], monkeypatch: pytest.MonkeyPatch, at_once: int = 4096) -> Wire:
    monkeypatch.setattr(exchange, "_AT_ONCE_NBYTES", at_once)

    async def run() -> Wire:
        wire = Wire()
        await scenario(wire)
        return wire

    return asyncio.run(run())


def answered(wire: Wire) -> tuple[dict[str, str], bytes]:
    head, _, body = wire.transport.take().partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    return dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("at_once", [1 << 20, 0], ids=["at once", "on another thread"])
def test_there_and_back(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    async def scenario(wire: Wire) -> None:
        for _ in range(2):
            wire.feed(asking(50, "Accept-Encoding: gzip"))
            await until(lambda: wire.servable.jobs)
            body, length = body_of(50)
            assert wire.servable.inputs(wire.servable.jobs[0]) == [body[length:]]
            wire.servable.echo()
            await until(lambda: wire.transport.written)
            headers, packed = answered(wire)
            plain = zlib.decompress(packed, 31)
            assert headers["Content-Encoding"] == "gzip"
            assert headers["Content-Length"] == str(len(packed))
            assert plain[int(headers["Inference-Header-Content-Length"]) :] == body[length:]

    wire = play(scenario, monkeypatch, at_once)
    assert (wire.servable.outstanding, wire.servable.arena.used) == (0, 0)


def test_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire) -> None:
        packed = zlib.compress(b'{"inputs":[{"name":"IN","datatype":"FP32","shape":[1],"data":[2]}]}')
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed)
        wire.feed(request("POST", INFER, chunks, "Transfer-Encoding: chunked", DEFLATE))
        assert wire.servable.inputs(wire.servable.jobs[0]) == [struct.pack("<f", 2)]

    play(scenario, monkeypatch)


REFUSED: dict[str, tuple[bytes, list[str], int, str]] = {
    "nothing": (b"", [DEFLATE], 400, "nothing to be decompressed"),
    "a bomb": (zlib.compress(bytes(LIMIT + 1)), [DEFLATE], 400, "Decompressed data size exceeds the maximum allowed"),
    "a length beyond": (
        zlib.compress(bytes(9)),
        [DEFLATE, "Inference-Header-Content-Length: 10"],
        400,
        "inference header size should be in range (0, 9), got: 10",
    ),
    "no JSON": (zlib.compress(b"{"), [DEFLATE], 500, "failed to parse the request JSON buffer: "),
    "unknown": (b"x", ["Content-Encoding: br"], 501, "Unsupported compression type"),
}


@pytest.mark.parametrize("at_once", [1 << 20, -1], ids=["at once", "on another thread"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(monkeypatch: pytest.MonkeyPatch, name: str, at_once: int) -> None:
    body, headers, status, text = REFUSED[name]

    async def scenario(wire: Wire) -> None:
        wire.feed(request("POST", INFER, body, *headers))
        await until(lambda: wire.transport.written)
        answer = wire.transport.take()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith(text)
        wire.feed(request("GET", "/v2"))
        assert wire.transport.take().startswith(b"HTTP/1.1 200")

    play(scenario, monkeypatch, at_once)


def test_errors_are_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire) -> None:
        wire.feed(request("POST", INFER, b"{}", "Accept-Encoding: gzip"))
        assert b"Content-Encoding" not in wire.transport.take()
        wire.feed(asking(1, "Accept-Encoding: gzip"))
        await until(lambda: wire.servable.jobs)
        wire.servable.fail(Code.INTERNAL, "no")
        assert b"Content-Encoding" not in wire.transport.take()

    play(scenario, monkeypatch)


def test_a_client_that_goes_while_its_answer_is_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire) -> None:
        wire.feed(asking(50, "Accept-Encoding: gzip"))
        await until(lambda: wire.servable.jobs)
        wire.servable.echo()
        wire.lose()
        await until(lambda: not wire.servable.outstanding)
        assert not wire.transport.written

    play(scenario, monkeypatch, 0)


def test_a_client_that_goes_while_its_request_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(wire: Wire) -> None:
        wire.feed(asking(50))
        wire.lose()
        await asyncio.get_running_loop().shutdown_default_executor()
        assert not wire.servable.jobs

    play(scenario, monkeypatch, 0)


def test_a_client_that_goes_before_its_body_turns_out_to_be_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[dict[str, Any]] = []

    async def scenario(wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        wire.feed(request("POST", INFER, b"no zlib", DEFLATE))
        wire.lose()
        await loop.shutdown_default_executor()
        await asyncio.sleep(0)
        assert not wire.transport.written

    play(scenario, monkeypatch, 0)
    gc.collect()
    assert not complaints


def test_what_cannot_be_compressed_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parts: Any, encoding: Any) -> bytes:
        raise MemoryError

    async def scenario(wire: Wire) -> None:
        monkeypatch.setattr(exchange, "compress", fail)
        wire.feed(asking(1, "Accept-Encoding: gzip"))
        await until(lambda: wire.servable.jobs)
        wire.servable.echo()
        assert wire.transport.take().startswith(b"HTTP/1.1 500 ")

    wire = play(scenario, monkeypatch)
    assert (wire.servable.outstanding, wire.servable.arena.used) == (0, 0)


def test_forwarded_headers_are_parameters() -> None:
    app = FakeApplication()
    app.heads = HeadParser(Gate(trusted=True), forwarding=HeaderPattern("x-"))
    wire = Wire(app)
    body, length = body_of(1)
    told = f"Inference-Header-Content-Length: {length}"
    for value in ("a", "b", "a"):
        wire.feed(request("POST", INFER, body, told, f"X-Foo: {value}"))
        job = wire.servable.jobs[-1]
        assert job.plan.request.parameters == {"X-Foo": value}
        wire.servable.echo()
    assert len(wire.servable.plans) == 2
    wire.transport.take()
    wire.feed(request("POST", INFER, b'{"inputs":[]}', "X-Foo: a", "triton_x-: 1"))
    assert b"Header 'triton_x-' is reserved" in wire.transport.take()


def test_a_restricted_request_is_refused_before_its_body_is_looked_at() -> None:
    app = FakeApplication()
    app.heads = HeadParser(Gate(trusted=True), restrictions={Category.INFERENCE: Key("k", "v")})
    wire = Wire(app)
    assert wire.ask(request("POST", INFER, b"x")).startswith(b"HTTP/1.1 403 ")
    assert wire.ask(request("POST", INFER, b"{}", "k: v")).startswith(b"HTTP/1.1 500 ")
    assert wire.ask(request("GET", "/v2")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INFER, b'{"inputs":[{"name":"IN","datatype":"FP32","shape":[1],"data":[1]}]}'),
        ("/v2/models/m/generate", b'{"IN":[1]}'),
    ],
)
def test_a_fault_of_ours_keeps_no_memory(path: str, body: bytes) -> None:
    wire = Wire()
    wire.servable.refusal = RuntimeError("nobody has thought of this")
    assert wire.ask(request("POST", path, body)).startswith(b"HTTP/1.1 500 ")
    assert wire.servable.outstanding == 0
    assert wire.servable.arena.used == 0
