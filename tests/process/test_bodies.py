"""HTTP bodies and heads that lie, crawl, or are huge: a clear error, bounded memory, and everything else goes on."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from tests.process import machine
from tests.process.client import Answer, Client, command, connect, read_answer, said
from tests.process.engine import TOKEN, Engine

BOUND = 100 << 20
GREEDY = 10**17


@pytest.fixture
def bounded(engine: Engine, puppet: str) -> Iterator[str]:
    """The model, with a check that the engine has not grown and still serves."""
    before = machine.resident_nbytes(engine.pid)
    yield puppet
    assert machine.resident_nbytes(engine.pid) - before < BOUND
    assert said(engine.infer(puppet, command("echo", value=1))) == 1
    assert engine.instances(puppet)[0]["restarts"] == 0


def exchange(engine: Engine, data: bytes) -> Answer | None:
    """Send bytes, as far as they are taken; the answer, or None when the connection is closed without one."""
    with connect(engine.http.address) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)
        try:
            return read_answer(sock)
        except (OSError, http.client.HTTPException):
            return None


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


class TestLengthsThatLie:
    def test_much_more_than_can_be(self, engine: Engine, bounded: str) -> None:
        for lines in ((), ("Inference-Header-Content-Length: 10",)):
            answer = exchange(engine, engine.http.head(bounded, GREEDY, *lines) + b"{")
            assert answer is not None
            assert answer.status in (400, 413, 503)
            assert answer.error

    @pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/repository/models/puppet/load", "/v2", "/nowhere"])
    def test_on_every_route(self, engine: Engine, bounded: str, path: str) -> None:
        answer = exchange(engine, head(path, f"Content-Length: {GREEDY}") + b"{")
        assert answer is not None
        assert answer.status >= 400

    def test_fewer_bytes_than_said(self, engine: Engine, bounded: str) -> None:
        data = engine.http.infer_bytes(bounded, command("echo"))
        with connect(engine.http.address) as sock:
            sock.sendall(data[:-1])
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(100) == b""

    def test_more_bytes_than_said(self, engine: Engine, bounded: str) -> None:
        data = engine.http.infer_bytes(bounded, command("echo", value=1))
        with connect(engine.http.address) as sock:
            sock.sendall(data + b"garbage that is no request\r\n\r\n")
            assert said(read_answer(sock)) == 1
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP/1.1 2" not in sock.recv(1000)

    @pytest.mark.parametrize("length", ["-1", "+5", "0x10", "5 5", "", "1e3", "5,5", "٣", "9" * 30])
    def test_lengths_that_are_no_numbers(self, engine: Engine, bounded: str, length: str) -> None:
        text = length.encode().decode("latin-1")
        answer = exchange(engine, head(f"/v2/models/{bounded}/infer", f"Content-Length: {text}") + b"hello")
        assert answer is None or answer.status >= 400

    def test_two_lengths(self, engine: Engine, bounded: str) -> None:
        lines = ("Content-Length: 5", "Content-Length: 50")
        answer = exchange(engine, head(f"/v2/models/{bounded}/infer", *lines) + b"hello")
        assert answer is None or answer.status >= 400

    @pytest.mark.parametrize(
        "length", ["-1", "10000000", "9" * 30, "abc", "", "0x10", "1.5", " ", "18446744073709551616"]
    )
    def test_inference_header_lengths(self, engine: Engine, bounded: str, length: str) -> None:
        data = engine.http.head(bounded, 10, f"Inference-Header-Content-Length: {length}") + b"0123456789"
        answer = exchange(engine, data)
        assert answer is not None
        assert answer.status == 400, answer
        known = ("Inference-Header-Content-Length", "inference header size", "JSON")
        assert any(text in answer.error for text in known)


class TestChunks:
    def test_half_a_million_of_one_byte(self, engine: Engine, bounded: str) -> None:
        data = head(f"/v2/models/{bounded}/infer", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 500_000
        answer = exchange(engine, data + b"0\r\n\r\n")
        assert answer is not None
        assert answer.status == 400
        assert "65536" in answer.error

    @pytest.mark.parametrize("path", ["/v2/repository/index", "/v2/models/puppet/infer", "/nowhere", "/v2"])
    def test_too_many_on_every_route(self, engine: Engine, bounded: str, path: str) -> None:
        answer = exchange(engine, head(path, "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 80_000 + b"0\r\n\r\n")
        assert answer is None or answer.status >= 400

    @pytest.mark.parametrize("size", ["-1", "+1", "0x1", "g", "F" * 20, "1 1", "", "1;" + "x" * 10_000])
    def test_bad_sizes(self, engine: Engine, bounded: str, size: str) -> None:
        data = head("/v2/repository/index", "Transfer-Encoding: chunked")
        answer = exchange(engine, data + f"{size}\r\nx\r\n0\r\n\r\n".encode())
        assert answer is None or answer.status == 400

    def test_lengths_and_chunks_together(self, engine: Engine, bounded: str) -> None:
        lines = ("Content-Length: 3", "Transfer-Encoding: chunked")
        smuggled = b"0\r\n\r\nPOST /v2/repository/index HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        answer = exchange(engine, head("/v2", *lines, method="GET") + smuggled)
        assert answer is not None
        assert (answer.status, answer.headers["Connection"]) == (200, "close")

    def test_a_crawling_one_holds_nobody_up(self, engine: Engine, bounded: str) -> None:
        with connect(engine.http.address) as sock:
            for byte in engine.http.head(bounded, 10**6, "Inference-Header-Content-Length: 2") + b"{}":
                sock.sendall(bytes((byte,)))
                if byte == ord("C"):
                    assert said(engine.infer(bounded, command("echo", value=2))) == 2


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            '{"a":' * 100_000,
            '{"inputs":[{"name":"COMMAND","datatype":"BYTES","shape":[1],"data":' + "[" * 100_000,
            '{"parameters":{"a":' + "[" * 100_000,
            '{"inputs":[],"parameters":' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}",
        ],
        ids=["arrays", "objects", "data", "parameters", "closed"],
    )
    @pytest.mark.parametrize("path", ["/v2/models/{}/infer", "/v2/repository/index", "/v2/repository/models/{}/load"])
    def test_too_deep(self, engine: Engine, bounded: str, text: str, path: str) -> None:
        answer = engine.http.post(path.format(bounded), text.encode())
        assert answer.status in (400, 500)
        assert answer.error

    def test_a_million_outputs(self, engine: Engine, puppet: str) -> None:
        inputs = [{"name": "COMMAND", "datatype": "BYTES", "shape": [1], "data": ['{"do":"echo"}']}]
        body = json.dumps({"inputs": inputs, "outputs": [{"name": "ANSWER"}] * 10**6}).encode()
        sizes = []
        for _ in range(3):
            answer = engine.http.post(f"/v2/models/{puppet}/infer", body)
            assert answer.status == 400
            assert "1000000 outputs" in answer.error
            sizes.append(machine.resident_nbytes(engine.pid))
        assert sizes[-1] - sizes[0] < BOUND  # what parsing took is used again
        assert said(engine.infer(puppet, command("echo", value=1))) == 1

    def test_the_same_output_often(self, engine: Engine, bounded: str) -> None:
        inputs = [{"name": "COMMAND", "datatype": "BYTES", "shape": [1], "data": ['{"do":"echo"}']}]
        answer = engine.http.post(
            f"/v2/models/{bounded}/infer", {"inputs": inputs, "outputs": [{"name": "ANSWER"}] * 1000}
        )
        assert len(answer.json().get("outputs", [])) <= 1000

    @pytest.mark.parametrize("shape", [[2**31], [2**62, 4], [-1], [2**64], [1, 2**63 - 1], ["1"], [1.5], [None], "1"])
    def test_shapes(self, engine: Engine, bounded: str, shape: object) -> None:
        body = {"inputs": [{"name": "DATA", "datatype": "FP32", "shape": shape, "data": [1]}]}
        answer = engine.http.post(f"/v2/models/{bounded}/infer", body)
        assert answer.status in (400, 500)
        assert answer.error


class TestHeads:
    @pytest.mark.parametrize(
        "data",
        [
            b"\x00" * 100 + b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /v2 HTTP/9.9\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\nA: b\r\n c: folded\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\nA: \x00\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET " + b"/" * 60_000 + b" HTTP/1.1\r\n\r\n",
            b"GET /v2 HTTP/1.1\r\n" + b"A: b\r\n" * 9_000 + b"\r\n",
            b"GET /v2 HTTP/1.1\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
            b"GET /v2/models/%00/ready HTTP/1.1\r\n\r\n",
            b"GET /v2/models/%2e%2e/ready HTTP/1.1\r\n\r\n",
            b"GET /v2/models/../../etc/passwd HTTP/1.1\r\n\r\n",
            b"GET /v2/models/\xff\xfe/ready HTTP/1.1\r\n\r\n",
        ],
        ids=lambda data: data[:24].decode("latin-1"),
    )
    def test_garbage(self, engine: Engine, bounded: str, data: bytes) -> None:
        answer = exchange(engine, data)
        assert answer is None or answer.status in (200, 400, 404, 405, 414, 431, 505)

    @pytest.mark.parametrize(
        "name", ["a/b", "..", "%2e%2e", "a%0ab", "a" * 300, "a;touch x", "$(x)", "-c", "%e2%80%ae"]
    )
    @pytest.mark.parametrize("action", ["load", "unload"])
    def test_names(self, engine: Engine, bounded: str, name: str, action: str) -> None:
        before = sorted(engine.repository.iterdir())
        path = f"/v2/repository/models/{name}/{action}".replace(" ", "%20")
        answer = engine.http.post(path)
        assert answer.status in (200, 400, 404, 500)
        if action == "load":
            assert answer.error
            assert answer.error.count("\n") <= 1
        answer = engine.http.post(f"/api/models/{name}/deploy".replace(" ", "%20"), {"source": "x = 1"})
        assert answer.status in (400, 404)
        assert sorted(engine.repository.iterdir()) == before


class TestErrorsTellNothing:
    """No error tells a client of descriptors, segments, processes or places."""

    SECRET = re.compile(r"memfd|/proc/|pyserve-|0x[0-9a-f]{6,}|\bpid\b|\bfd\b|Traceback|" + TOKEN)

    def test_them(self, engine: Engine, puppet: str, bounded: str) -> None:
        client: Client = engine.tcp
        answers = [
            client.infer(puppet, {"COMMAND": np.ones(3, np.float32)}),
            client.infer(puppet, command("give", count=-5)),
            client.infer("nobody", command("echo")),
            client.post(f"/v2/models/{puppet}/infer", b"{"),
            client.post(f"/v2/models/{puppet}/infer", {"inputs": [{"name": "COMMAND"}]}),
            client.get("/v2/models/%ff/ready"),
            client.get("/api/status"),
            Client(engine.tcp.address).get("/v2"),
            exchange_tcp(client, client.head(puppet, GREEDY, "Inference-Header-Content-Length: 2")),
        ]
        for answer in answers:
            assert answer.status >= 400
            text = f"{answer.headers} {json.dumps(answer.error)}"
            assert not self.SECRET.search(text), text


def exchange_tcp(client: Client, data: bytes) -> Answer:
    with connect(client.address) as sock:
        sock.sendall(data)
        return read_answer(sock)
