from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.address import Address
from jupyter_pyserve.notebook.connection import Connection, error_of
from tests.unit.notebook.fake_engine import FakeEngine


@pytest.fixture
def connection(engine: FakeEngine) -> Connection:
    return Connection(Address(runtime_dir=engine.directory, token="t"))


def test_one_connection_is_kept_per_thread(engine: FakeEngine, connection: Connection) -> None:
    for _ in range(3):
        connection.json("GET", "/api/status")
    assert engine.connections == 1
    thread = threading.Thread(target=connection.json, args=("GET", "/api/status"))
    thread.start()
    thread.join()
    assert engine.connections == 2
    connection.close()


def test_the_token_and_the_body_arrive(engine: FakeEngine, connection: Connection) -> None:
    engine.answer("POST", "/x", body=b"abc", headers={"X-Y": "z"})
    reply = connection.request("POST", "/x", [b"he", memoryview(b"llo")])
    assert (reply.status, bytes(reply.body), reply.headers.get("x-y")) == (200, b"abc", "z")
    assert not reply.body.readonly
    sent = engine.last("/x")
    assert (sent.body, sent.headers["Authorization"], sent.headers["Content-Length"]) == (b"hello", "token t", "5")
    connection.close()


def test_a_connection_that_the_engine_closed_while_idle_is_replaced(engine: FakeEngine, connection: Connection) -> None:
    engine.answer("GET", "/bye", headers={"Connection": "close"})
    assert connection.request("GET", "/bye").status == 200
    assert connection.json("GET", "/api/status")["engine"]["pid"] == 99
    connection.close()


def test_an_engine_that_is_gone_is_a_clear_error(engine: FakeEngine) -> None:
    (engine.directory / "gone").mkdir()
    connection = Connection(Address(runtime_dir=engine.directory / "gone"))
    for call in (connection.json, connection.stream):
        with pytest.raises(PyServeError, match="does not answer") as caught:
            call("GET", "/api/status")
        assert caught.value.code is Code.UNAVAILABLE


def test_an_answer_shorter_than_it_says_is_an_error(engine: FakeEngine, connection: Connection) -> None:
    engine.answer("GET", "/short", headers={"Content-Length": "10", "Connection": "close"}, body=b"abc")
    with pytest.raises(PyServeError, match="does not answer"):
        connection.request("GET", "/short")


def test_a_stream_gives_lines_as_they_come(engine: FakeEngine, connection: Connection) -> None:
    go_on = threading.Event()

    def lines() -> Iterator[bytes]:
        yield b'{"a":1}\n'
        go_on.wait(10)
        yield b'{"b":'
        yield b"2}\n"

    engine.answer("POST", "/lines", lines=lines())
    stream = connection.stream("POST", "/lines", {"k": 1})
    seen = iter(stream)
    assert next(seen) == b'{"a":1}\n'
    go_on.set()
    assert list(seen) == [b'{"b":2}\n']
    assert engine.last("/lines").json == {"k": 1}
    stream.close()


def test_closing_a_stream_wakes_its_reader(engine: FakeEngine, connection: Connection) -> None:
    hold = threading.Event()

    def lines() -> Iterator[bytes]:
        yield b"{}\n"
        hold.wait(10)

    engine.answer("POST", "/hold", lines=lines())
    stream = connection.stream("POST", "/hold")
    seen = iter(stream)
    next(seen)
    failures: list[BaseException] = []

    def read() -> None:
        try:
            list(seen)
        except PyServeError as error:
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    stream.close()
    reader.join(10)
    hold.set()
    assert not reader.is_alive()


def test_a_refused_stream_raises_its_error(engine: FakeEngine, connection: Connection) -> None:
    engine.answer("POST", "/no", status=400, json={"error": "bad name"})
    with pytest.raises(PyServeError, match="bad name"):
        connection.stream("POST", "/no")


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, b'{"error":"no"}', Code.INVALID_ARG, "no"),
        (404, b'{"message":"Not here","reason":null}', Code.NOT_FOUND, "Not here"),
        (409, b'{"error":"there"}', Code.ALREADY_EXISTS, "there"),
        (499, b'{"error":"gone"}', Code.CANCELLED, "gone"),
        (500, b"boom", Code.INTERNAL, "boom"),
        (501, b"{}", Code.UNSUPPORTED, "{}"),
        (503, b"", Code.UNAVAILABLE, "HTTP status 503"),
        (504, b"", Code.UNAVAILABLE, "HTTP status 504"),
        (418, b"[1]", Code.UNKNOWN, "[1]"),
    ],
)
def test_error_replies(status: int, body: bytes, code: Code, message: str) -> None:
    error = error_of(status, body)
    assert (error.code, error.message) == (code, message)


def test_a_refused_token_says_so() -> None:
    assert "PYSERVE_TOKEN" in error_of(403, b'{"message":"Forbidden"}').message
