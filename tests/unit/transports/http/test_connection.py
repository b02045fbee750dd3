from __future__ import annotations

import asyncio
import json
import re
import struct
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyserve_stub.wire.layout import decode_layout

from jupyter_pyserve.engine.versions.loaded import MemoryFull
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.transports.http.head import Gate, Head
from jupyter_pyserve.transports.http.replies import Reply, Stream
from tests.unit.transports.http.fakes import LIMIT, FakeApplication, FakeServable, Wire, request, signature

INFER = "/v2/models/m/infer"


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def infer(blob: bytes, shape: list[int] | None = None, *headers: str, path: str = INFER) -> bytes:
    """A binary inference of IN."""
    count = [len(blob) // 4] if shape is None else shape
    tensor = {"name": "IN", "datatype": "FP32", "shape": count, "parameters": {"binary_data_size": len(blob)}}
    told = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return request("POST", path, told + blob, f"Inference-Header-Content-Length: {len(told)}", *headers)


def ok(answer: bytes) -> bytes:
    """The body of a single answer of success."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    assert int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) == len(body)
    return body


def refused(answer: bytes, status: int) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    message = json.loads(body)["error"]
    assert isinstance(message, str)
    return message


def blob_of(answer: bytes) -> bytes:
    found = re.search(rb"Inference-Header-Content-Length: (\d+)", answer)
    assert found is not None
    return answer.partition(b"\r\n\r\n")[2][int(found.group(1)) :]


# -- requests that are no inference -----------------------------------------------------------------------------------


def test_a_request_and_its_answer() -> None:
    wire = Wire()
    assert ok(wire.ask(request("GET", "/v2"))) == b"/v2 "
    assert not wire.is_closed()


def test_bodies_reach_who_answers() -> None:
    wire = Wire()
    wire.ask(request("POST", "/v2/repository/index", b'{"ready":true}'))
    assert wire.app.seen == [(b"/v2/repository/index", b'{"ready":true}')]


@pytest.mark.parametrize("piece", [1, 7])
def test_in_small_pieces(piece: int) -> None:
    wire = Wire()
    assert ok(wire.ask(request("POST", "/v2/repository/index", b"x" * 500), piece)).endswith(b"x" * 500)


def test_pipelined_requests_are_answered_in_order() -> None:
    wire = Wire()
    paths = [b"/v2", b"/v2/health/live", b"/v2/models/m"]
    answers = wire.ask(b"".join(request("GET", path.decode()) for path in paths))
    assert [target for target, _ in wire.app.seen] == paths
    assert [answers.index(path + b" ") for path in paths] == sorted(answers.index(path + b" ") for path in paths)
    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_unknown_paths_and_methods() -> None:
    wire = Wire()
    assert refused(wire.ask(request("GET", "/v9")), 404) == "Not Found"
    answer = wire.ask(request("POST", "/v2", b"body is skipped"))
    assert answer.startswith(b"HTTP/1.1 405 Not Allowed\r\n")
    assert ok(wire.ask(request("GET", "/v2"))) == b"/v2 "


def test_domain_errors_become_statuses() -> None:
    app = FakeApplication()

    def fail(head: Head, body: bytes) -> Reply:
        raise PyServeError(Code.UNAVAILABLE, "not now")

    app.answer = fail
    wire = Wire(app)
    assert refused(wire.ask(request("GET", "/v2")), 503) == "not now"


def test_a_failure_that_nobody_foresaw_is_answered_at_once(caplog: pytest.LogCaptureFixture) -> None:
    app = FakeApplication()

    def fail(head: Head, body: bytes) -> Reply:
        raise ZeroDivisionError

    app.answer = fail
    wire = Wire(app)
    assert refused(wire.ask(request("GET", "/v2")), 500) == "internal error"
    assert "ZeroDivisionError" in caplog.text


def test_close_is_honoured() -> None:
    wire = Wire()
    assert b"\r\nConnection: close\r\n" in wire.ask(request("GET", "/v2", b"", "Connection: close"))
    assert wire.is_closed()


def test_an_old_client_may_stay() -> None:
    wire = Wire()
    answer = wire.ask(b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nConnection: keep-alive\r\n" in answer
    assert not wire.is_closed()
    wire.ask(b"GET /v2 HTTP/1.0\r\n\r\n")
    assert wire.is_closed()


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"POST /v2 HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_what_is_not_http_is_cut_off_without_a_word(data: bytes) -> None:
    wire = Wire()
    assert wire.ask(data) == b""
    assert wire.transport.aborted


def test_a_head_that_never_ends() -> None:
    wire = Wire()
    endless = b"GET /v2 HTTP/1.1\r\n" + b"X: xxxxxxxx\r\n" * 10_000
    wire.feed(endless[: len(wire.connection.get_buffer(-1))])
    assert refused(wire.transport.take(), 431) == "the request head is too large"
    assert wire.is_closed()


def test_continue_is_said_to_who_waits_for_it() -> None:
    wire = Wire()
    head, _, body = request("POST", "/v2/repository/index", b"{}", "Expect: 100-continue").partition(b"\r\n\r\n")
    assert wire.ask(head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert ok(wire.ask(body)).endswith(b"{}")


def test_continue_is_not_said_to_who_sent_all() -> None:
    wire = Wire()
    assert b"100 Continue" not in wire.ask(request("POST", "/v2/repository/index", b"{}", "Expect: 100-continue"))


def test_a_body_above_the_limit_is_refused_and_skipped() -> None:
    wire = Wire()
    message = refused(wire.ask(request("POST", "/v2/repository/index", b"x" * (LIMIT + 1))), 400)
    assert message.startswith(f"request JSON size of {LIMIT + 1} bytes exceeds the maximum allowed input size of")
    assert wire.app.seen == []
    assert ok(wire.ask(request("GET", "/v2"))) == b"/v2 "


def test_the_token_is_asked_for_before_anything_else() -> None:
    wire = Wire(FakeApplication(gate=Gate(token="t")))
    for data in (request("GET", "/v2"), infer(floats(1)), request("GET", "/v9")):
        assert "Authorization" in refused(wire.ask(data), 401)
    assert (wire.app.seen, wire.servable.jobs) == ([], [])
    assert ok(wire.ask(request("GET", "/v2", b"", "Authorization: token t"))) == b"/v2 "


def test_pages_of_other_sites_are_kept_out() -> None:
    wire = Wire(FakeApplication(gate=Gate(loopback=True)))
    assert refused(wire.ask(infer(floats(1), None, "Origin: http://evil.example")), 403).startswith("Forbidden")
    assert wire.servable.jobs == []


# -- chunked bodies ---------------------------------------------------------------------------------------------------


def chunked(path: str, body: bytes, *headers: str, size: int = 5) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    encoded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return request("POST", path, b"", "Transfer-Encoding: chunked", *headers) + encoded


@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_chunks_are_one_body_and_the_next_request_follows(piece: int) -> None:
    wire = Wire()
    wire.feed(chunked("/v2/repository/index", b"hello world") + request("GET", "/v2"), piece)
    assert wire.app.seen == [(b"/v2/repository/index", b"hello world"), (b"/v2", b"")]


def test_what_follows_a_body_with_chunks_and_a_length_is_not_read() -> None:
    wire = Wire()
    head = request("POST", "/v2/repository/index", b"", "Content-Length: 5", "Transfer-Encoding: chunked")
    wire.feed(head + b"2\r\nhi\r\n0\r\n\r\n" + request("GET", "/v2"))
    assert wire.app.seen == [(b"/v2/repository/index", b"hi")]
    assert wire.is_closed()


def test_chunks_beyond_the_limit_end_the_connection() -> None:
    wire = Wire()
    assert "maximum allowed input size" in refused(wire.ask(chunked(INFER, b"x" * (LIMIT + 1), size=100)), 400)
    assert wire.is_closed()


def test_malformed_chunks_end_the_connection() -> None:
    wire = Wire()
    data = request("POST", "/v2/repository/index", b"", "Transfer-Encoding: chunked") + b"nonsense\r\n"
    assert refused(wire.ask(data), 400) == "malformed chunked body"
    assert wire.is_closed()


def test_a_refused_request_with_chunks_is_skipped() -> None:
    wire = Wire()
    answers = wire.ask(chunked("/v9", b"x" * 5000, size=500) + request("GET", "/v2"))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"404", b"200"]


def test_a_chunked_inference() -> None:
    wire = Wire()
    plain = infer(floats(1, 2))
    length = plain.partition(b"Inference-Header-Content-Length: ")[2].split(b"\r\n")[0].decode()
    body = plain.partition(b"\r\n\r\n")[2]
    wire.feed(chunked(INFER, body, f"Inference-Header-Content-Length: {length}"))
    wire.servable.echo()
    assert blob_of(wire.transport.take()) == floats(1, 2)


# -- inference --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 13, 1 << 20])
def test_a_binary_inference(piece: int) -> None:
    wire = Wire()
    assert wire.ask(infer(floats(1, 2, 3)), piece) == b""
    assert wire.servable.inputs(wire.servable.jobs[0]) == [floats(1, 2, 3)]
    wire.servable.echo()
    answer = wire.transport.take()
    assert b"Content-Type: application/octet-stream" in answer
    assert blob_of(answer) == floats(1, 2, 3)


def test_the_tensor_is_aligned_and_lies_where_it_was_received() -> None:
    wire = Wire()
    wire.feed(infer(floats(1, 2, 3)))
    ((_, offset, nbytes, lease),) = wire.servable.jobs[0].descriptors
    assert (offset % 64, nbytes, lease) == (0, 12, 0)


def test_memory_is_given_back_when_the_answer_has_left() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    assert wire.servable.arena.used > 0
    wire.servable.echo()
    assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)


def test_json_in_and_out() -> None:
    wire = Wire()
    body = {"inputs": [{"name": "IN", "datatype": "FP32", "shape": [2], "data": [0.5, 2]}]}
    wire.feed(request("POST", INFER, json.dumps(body).encode()))
    wire.servable.echo()
    assert json.loads(ok(wire.transport.take()))["outputs"] == [
        {"name": "OUT", "datatype": "FP32", "shape": [2], "data": [0.5, 2.0]}
    ]


def test_a_raw_body_is_the_only_input() -> None:
    wire = Wire()
    wire.feed(request("POST", INFER, floats(1, 2), "Inference-Header-Content-Length: 0"))
    assert wire.servable.inputs(wire.servable.jobs[0]) == [floats(1, 2)]
    wire.servable.echo()
    assert blob_of(wire.transport.take()) == floats(1, 2)


def test_parameters_of_the_response() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    wire.servable.echo(b'{"took":3}')
    assert b'"parameters":{"took":3}' in wire.transport.take()


def test_an_error_of_the_model() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    wire.servable.fail(Code.NOT_FOUND, "told you")
    answer = wire.transport.take()
    assert refused(answer, 404) == "told you"
    assert b"Content-Type: text/plain" in answer
    assert wire.servable.arena.used == 0


def test_the_next_request_waits_for_the_answer() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)) + infer(floats(2)) + request("GET", "/v2"))
    assert len(wire.servable.jobs) == 1
    wire.servable.echo()
    assert blob_of(wire.transport.take()) == floats(1)
    wire.servable.echo()
    answers = wire.transport.take()
    assert floats(2) in answers
    assert answers.endswith(b"/v2 ")


def test_reading_stops_when_a_client_sends_on_and_on() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    one = request("GET", "/v2")
    for _ in range(100_000):
        if not wire.is_reading():
            break
        wire.feed(one[: len(wire.connection.get_buffer(-1))])
    assert not wire.is_reading()
    wire.servable.echo()
    assert wire.is_reading()
    assert len(wire.app.seen) > 1000


def test_close_after_an_inference() -> None:
    wire = Wire()
    wire.feed(infer(floats(1), None, "Connection: close"))
    assert not wire.is_closed()
    wire.servable.echo()
    assert b"HTTP/1.1 200 OK\r\nConnection: close\r\n" in wire.transport.take()
    assert wire.is_closed()


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (infer(floats(1), path="/v2/models/x/infer"), 404, "Request for unknown model: 'x' is not found"),
        (infer(floats(1), [2]), 400, "input byte size mismatch for input 'IN' for model 'm'. Expected 8, got 4"),
        (infer(floats(1), None, "Content-Encoding: br"), 501, "Unsupported compression type"),
        (
            request("POST", INFER, b"{}", "Inference-Header-Content-Length: 9"),
            400,
            "inference header size should be in range (0, 2), got: 9",
        ),
        (request("POST", INFER, b"{"), 500, "failed to parse the request JSON buffer: Missing a name"),
    ],
)
def test_refused_inferences_leave_nothing(
    data: bytes, status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    wire = Wire()
    text = refused(wire.ask(data), status)
    assert message in text
    assert f"Request failed: {text}" in caplog.text
    assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)
    assert ok(wire.ask(request("GET", "/v2"))) == b"/v2 "


def test_what_the_queue_refuses_leaves_nothing() -> None:
    wire = Wire()
    wire.servable.refusal = PyServeError(Code.UNAVAILABLE, "Exceeds maximum queue size")
    body = json.dumps({"inputs": [{"name": "IN", "datatype": "FP32", "shape": [1], "data": [1]}]}).encode()
    for data in (infer(floats(1)), request("POST", INFER, body)):
        assert refused(wire.ask(data), 503) == "Exceeds maximum queue size"
        assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)


def test_decoupled_models_are_refused_before_the_body() -> None:
    wire = Wire(FakeApplication(FakeServable(signature(decoupled=True))))
    assert "decoupled" in refused(wire.ask(infer(floats(1))), 501)


def test_strings_are_checked_before_the_model_sees_them() -> None:
    wire = Wire(FakeApplication(FakeServable(signature(datatype="BYTES"))))
    data = infer(b"\x05\x00\x00\x00ab", [1]).replace(b"FP32", b"BYTES")
    length = int(data.partition(b"Inference-Header-Content-Length: ")[2].split(b"\r\n")[0])
    body = data.partition(b"\r\n\r\n")[2]
    fixed = request("POST", INFER, body, f"Inference-Header-Content-Length: {length + 1}")
    assert "incomplete string data" in refused(wire.ask(fixed), 400)
    assert wire.servable.jobs == []


def test_a_response_that_points_at_foreign_memory_is_not_sent() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    job = wire.servable.jobs.pop()
    segment, offset, _, _ = job.descriptors[0]
    wire.servable.answer(job, decode_layout(job.plan.layout), [(segment, offset + 64, 4, 0)])
    assert "memory that is not its own" in refused(wire.transport.take(), 500)
    assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)


# -- clients that go --------------------------------------------------------------------------------------------------


def test_a_client_that_goes_while_it_sends() -> None:
    wire = Wire()
    wire.feed(infer(floats(1, 2, 3))[:-5])
    assert wire.servable.outstanding == 1
    wire.lose()
    assert (wire.servable.arena.used, wire.servable.outstanding, wire.app.open) == (0, 0, 0)


def test_a_client_that_goes_while_it_waits() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    (job,) = wire.servable.jobs
    wire.lose()
    assert wire.servable.cancelled == [job]


def test_an_answer_to_a_client_that_has_gone_is_given_back() -> None:
    wire = Wire()
    wire.feed(infer(floats(1)))
    wire.lose()
    wire.servable.echo()
    assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)
    assert wire.transport.take() == b""


def test_shutdown_closes_idle_connections_now_and_others_after_their_answer() -> None:
    idle, busy = Wire(), Wire()
    idle.connection.shutdown()
    assert idle.transport.closed
    busy.feed(infer(floats(1)))
    busy.connection.shutdown()
    assert not busy.is_closed()
    busy.servable.echo()
    assert busy.is_closed()
    assert b"Connection: close" in busy.transport.take()


# -- large answers ----------------------------------------------------------------------------------------------------


def test_a_large_answer_is_held_until_its_last_byte_has_left() -> None:
    wire = Wire()
    blob = bytes(range(256)) * 4096 * 3
    wire.feed(infer(blob))
    wire.transport.stuck = True
    wire.servable.echo()
    assert wire.servable.arena.used > 0
    got = wire.transport.take()
    while wire.servable.arena.used:
        wire.transport.stuck = bool(len(got) < len(blob) // 2)
        wire.connection.resume_writing()
        got += wire.transport.take()
    assert blob_of(got) == blob
    wire.transport.stuck = False
    assert ok(wire.ask(request("GET", "/v2"))) == b"/v2 "


def test_a_client_that_goes_before_the_last_byte() -> None:
    wire = Wire()
    wire.feed(infer(bytes(1 << 20)))
    wire.transport.stuck = True
    wire.servable.echo()
    wire.lose()
    assert (wire.servable.arena.used, wire.servable.outstanding) == (0, 0)


def test_a_request_that_came_meanwhile_is_answered_after_it() -> None:
    wire = Wire()
    wire.feed(infer(bytes(1 << 20)))
    wire.transport.stuck = True
    wire.servable.echo()
    wire.feed(request("GET", "/v2"))
    assert wire.app.seen == []
    wire.transport.stuck = False
    wire.connection.resume_writing()
    assert wire.app.seen == [(b"/v2", b"")]


# -- answers that come later ------------------------------------------------------------------------------------------


async def turns(count: int = 5) -> None:
    """Let tasks that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_an_answer_that_takes_time() -> None:
    async def scenario() -> None:
        gate = asyncio.get_running_loop().create_future()
        app = FakeApplication()
        app.answer = lambda head, body: gate
        wire = Wire(app)
        wire.feed(request("POST", "/v2/repository/models/m/load") + request("GET", "/v2"))
        await turns()
        assert wire.transport.take() == b""
        app.answer = lambda head, body: Reply(200, b"second")
        gate.set_result(Reply(200, b"first"))
        await turns()
        answers = wire.transport.take()
        assert 0 < answers.index(b"first") < answers.index(b"second")

    asyncio.run(scenario())


def test_an_unforeseen_failure_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> Reply:
        raise ZeroDivisionError

    async def scenario() -> None:
        app = FakeApplication()
        app.answer = lambda head, body: fail()
        wire = Wire(app)
        wire.feed(request("POST", "/v2/repository/models/m/load"))
        await turns()
        assert refused(wire.transport.take(), 500) == "internal error"

    asyncio.run(scenario())
    assert "ZeroDivisionError" in caplog.text


def test_a_stream_is_sent_in_chunks() -> None:
    async def lines() -> AsyncGenerator[bytes, None]:
        yield b"one\n"
        yield b"x" * 20

    async def scenario() -> None:
        app = FakeApplication()
        app.answer = lambda head, body: Stream(lines(), b"application/x-ndjson")
        wire = Wire(app)
        wire.feed(request("POST", "/v2/repository/models/m/load"))
        await turns()
        head, _, body = wire.transport.take().partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"4\r\none\n\r\n14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n"

    asyncio.run(scenario())


def test_a_client_that_goes_ends_what_was_done_for_it() -> None:
    async def scenario() -> None:
        gate = asyncio.get_running_loop().create_future()

        async def slow() -> Reply:
            await gate
            return Reply(200)

        app = FakeApplication()
        app.answer = lambda head, body: slow()
        wire = Wire(app)
        wire.feed(request("POST", "/v2/repository/models/m/load"))
        await turns()
        wire.lose()
        await turns()
        assert gate.cancelled()

    asyncio.run(scenario())


def test_a_body_waits_for_memory() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.servable.full = MemoryFull("full", for_good=False)
        wire.feed(infer(floats(1)))
        assert not wire.is_reading()
        (retry,) = wire.servable.hungry
        assert retry() is False
        wire.servable.full = None
        assert retry() is True
        assert wire.is_reading()
        wire.servable.echo()
        assert blob_of(wire.transport.take()) == floats(1)

    asyncio.run(scenario())


def test_a_body_that_will_never_fit_is_refused_at_once() -> None:
    wire = Wire()
    wire.servable.full = MemoryFull("far too large", for_good=True)
    assert refused(wire.ask(infer(floats(1))), 503) == "far too large"


def test_a_client_that_goes_while_it_waits_for_memory() -> None:
    async def scenario() -> None:
        wire = Wire()
        wire.servable.full = MemoryFull("full", for_good=False)
        wire.feed(infer(floats(1)))
        (retry,) = wire.servable.hungry
        wire.lose()
        wire.servable.full = None
        assert retry() is True
        assert (wire.servable.outstanding, wire.servable.jobs) == (0, [])

    asyncio.run(scenario())


# -- any bytes --------------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                request("GET", "/v2"),
                request("POST", "/v2/repository/index", b"{}"),
                infer(floats(1)),
                infer(floats(1), [7]),
                chunked("/v2/repository/index", b"abc"),
                b"\r\n\r\n",
                b"0\r\n\r\n",
                b"POST ",
                bytes(range(256)),
            ]
        ),
        max_size=6,
    ),
    st.integers(1, 300),
)
def test_nothing_leaks_whatever_comes(parts: list[bytes], piece: int) -> None:
    wire = Wire()
    for part in parts:
        if wire.is_closed():
            break
        wire.feed(part, piece)
        while wire.servable.jobs:
            wire.servable.echo()
    wire.lose()
    assert (wire.servable.arena.used, wire.servable.outstanding, wire.app.open) == (0, 0, 0)
