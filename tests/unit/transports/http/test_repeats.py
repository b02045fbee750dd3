"""What a client sends again is not read again, and nothing that has changed meanwhile is overlooked."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Head, HeadParser
from tests.unit.transports.http.fakes import FakeApplication, FakeServable, Wire, request, signature

INFER = "/v2/models/m/infer"


def infer(*values: float, headers: tuple[str, ...] = ()) -> bytes:
    size = 4 * len(values)
    tensor = {"name": "IN", "datatype": "FP32", "shape": [len(values)], "parameters": {"binary_data_size": size}}
    told = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    body = told + struct.pack(f"<{len(values)}f", *values)
    return request("POST", INFER, body, f"Inference-Header-Content-Length: {len(told)}", *headers)


class Reader:
    """Counts the heads that are read."""

    def __init__(self, wire: Wire) -> None:
        self._parser: HeadParser = wire.app.heads
        self.count = 0
        cast(Any, wire.connection)._heads = self

    def parse(self, data: bytes) -> Head:
        self.count += 1
        return self._parser.parse(data)


def echoed(wire: Wire, answer: bytes = b"") -> list[float]:
    """What the model was given, when it has given it back."""
    wire.servable.echo()
    answer = wire.transport.take()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    blob = answer[answer.rindex(b"}") + 1 :]
    return list(struct.unpack(f"<{len(blob) // 4}f", blob))


@pytest.fixture
def wire() -> Wire:
    """A connection that has had the same request twice."""
    wire = Wire()
    for _ in range(2):
        wire.feed(infer(1.0, 2.0))
        assert echoed(wire) == [1.0, 2.0]
    return wire


def test_the_third_equal_request_is_not_read(wire: Wire) -> None:
    reader = Reader(wire)
    for value in (3.0, 4.0):
        wire.feed(infer(value, 5.0))
        assert echoed(wire) == [value, 5.0]
    assert reader.count == 0
    assert wire.servable.arena.used == 0


def test_requests_that_come_together_are_served_one_by_one(wire: Wire) -> None:
    reader = Reader(wire)
    wire.feed(infer(1.0, 1.0) + infer(2.0, 2.0) + infer(3.0))
    assert [echoed(wire) for _ in range(3)] == [[1.0, 1.0], [2.0, 2.0], [3.0]]
    assert reader.count == 1


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_one_that_comes_in_pieces_is_read(wire: Wire, piece: int) -> None:
    wire.feed(infer(3.0, 4.0), piece)
    assert echoed(wire) == [3.0, 4.0]


def test_one_of_another_length_or_with_another_head_is_read(wire: Wire) -> None:
    reader = Reader(wire)
    wire.feed(infer(3.0))
    assert echoed(wire) == [3.0]
    wire.feed(infer(3.0, 4.0, headers=("Connection: close",)))
    assert echoed(wire) == [3.0, 4.0]
    assert reader.count == 2
    assert wire.is_closed()


def test_what_came_in_between_leaves_nothing_behind(wire: Wire) -> None:
    reader = Reader(wire)
    assert b"Connection: keep-alive" in wire.ask(
        request("GET", "/v2", b"", "Connection: keep-alive").replace(b"1.1", b"1.0")
    )
    wire.feed(infer(3.0, 4.0))
    wire.servable.echo()
    assert b"Connection" not in wire.transport.take()
    assert reader.count == 1


def test_another_version_of_the_model_looks_itself(wire: Wire) -> None:
    old = wire.servable
    wire.app.service.servable = wire.app.servable = new = FakeServable()
    wire.feed(infer(3.0, 4.0))
    assert (len(old.jobs), len(new.jobs)) == (0, 1)
    assert echoed(wire) == [3.0, 4.0]


def test_a_model_that_is_gone_is_said_to_be_gone(wire: Wire) -> None:
    def lookup(name: str, version: str) -> FakeServable:
        raise PyServeError(Code.NOT_FOUND, "gone")

    cast(Any, wire.connection)._lookup = cast(Any, wire.connection)._repeats._lookup = lookup
    assert b'"gone"' in wire.ask(infer(3.0, 4.0))


def test_without_room_the_usual_way_says_so(wire: Wire) -> None:
    wire.servable.full = MemoryFull("full", for_good=True)
    answer = wire.ask(infer(3.0, 4.0))
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"full"' in answer


def test_a_traced_request_is_read(wire: Wire) -> None:
    reader = Reader(wire)
    watched: list[Any] = []

    def watch(sink: Any, *_: Any) -> Any:
        watched.append(sink)
        return sink

    wire.servable.tracer = SimpleNamespace(watch=watch)
    wire.feed(infer(3.0, 4.0))
    assert (reader.count, len(watched)) == (1, 1)


def test_a_refused_request_is_answered_and_forgotten(wire: Wire) -> None:
    wire.servable.refusal = PyServeError(Code.UNAVAILABLE, "Exceeds maximum queue size")
    answer = wire.ask(infer(3.0, 4.0))
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Exceeds maximum queue size" in answer
    assert wire.servable.arena.used == 0
    wire.servable.refusal = None
    wire.feed(infer(3.0, 4.0))
    assert echoed(wire) == [3.0, 4.0]


def test_a_client_that_leaves_gives_its_request_up(wire: Wire) -> None:
    wire.feed(infer(3.0, 4.0))
    wire.lose()
    assert wire.servable.cancelled == wire.servable.jobs != []


def test_what_was_compressed_is_no_example() -> None:
    wire = Wire()
    plain = infer(1.0)
    head, _, body = plain.partition(b"\r\n\r\n")
    told = int(head.rpartition(b"Inference-Header-Content-Length: ")[2].split(b"\r\n")[0])
    headers = (f"Inference-Header-Content-Length: {told}", "Content-Encoding: deflate")
    for _ in range(2):
        wire.feed(request("POST", INFER, zlib.compress(body), *headers))
        assert echoed(wire) == [1.0]
    deceiving = request("POST", INFER, zlib.compress(body), *headers).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    wire.feed(deceiving)
    assert wire.servable.jobs == []


def test_each_input_is_where_it_was() -> None:
    described = signature()
    both = {"IN": described.inputs["IN"], "IN2": dataclasses.replace(described.inputs["IN"], name="IN2")}
    wire = Wire(FakeApplication(FakeServable(dataclasses.replace(described, inputs=both))))
    tensors = [
        {"name": name, "datatype": "FP32", "shape": [count], "parameters": {"binary_data_size": 4 * count}}
        for name, count in (("IN", 1), ("IN2", 2))
    ]
    told = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    for number in range(3):
        data = bytes(range(number, number + 12))
        wire.feed(request("POST", INFER, told + data, f"Inference-Header-Content-Length: {len(told)}"))
        (job,) = wire.servable.jobs
        assert wire.servable.inputs(job) == [data[:4], data[4:]]
        wire.servable.fail(Code.INTERNAL, "enough")
