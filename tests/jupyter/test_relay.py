"""What passes between a client and the engine: everything of the protocol, as it comes, and nothing else."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor
from tests.jupyter.client import Client, read_body, read_head

INFER = "/pyserve/v2/models/m/infer"


@pytest.fixture
def runtime(engine: EngineSupervisor) -> Path:
    return engine._runtime.path


async def appears(path: Path) -> None:
    """Waits for a file that the fake engine writes; the suite's time limit ends a wait in vain."""
    while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240  written by another process
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_verb_arrives(verb: str, client: Client) -> None:
    answer = await client.send(verb, f"/pyserve/v2/a%2Fb/%3C?x=%20y&token={client.token}&z", body=b"12345")
    told = answer.json()
    assert (told["method"], told["target"], told["body"]) == (verb, "/v2/a%2Fb/%3C?x=%20y&z", 5)


async def test_head_has_headers_only(client: Client) -> None:
    answer = await client.send("HEAD", "/pyserve/v2/not-allowed")
    assert (answer.status, answer.reason) == (405, "Not Allowed")
    assert answer.all("Content-Length") == ["30"]


async def test_the_exact_mount_points(client: Client) -> None:
    targets = [
        (await client.send("GET", f"/pyserve/{path}")).json()["target"] for path in ("v2", "v2/", "api", "api/x")
    ]
    assert targets == ["/v2", "/v2/", "/api", "/api/x"]


async def test_request_headers(client: Client) -> None:
    given = [
        ("Inference-Header-Content-Length", "2"),
        ("Content-Encoding", "gzip"),
        ("X-Custom", "kept"),
        ("Cookie", "a=b"),
        ("Referer", "http://x/"),
        ("TE", "trailers"),
    ]
    told = (await client.send("POST", INFER, given, body=b"{}")).json()
    assert {name: value for name, value in told["headers"] if name not in {"Host", "Connection"}} == {
        "Content-Length": "2",
        "Inference-Header-Content-Length": "2",
        "Content-Encoding": "gzip",
        "X-Custom": "kept",
    }


async def test_response_status_and_headers(client: Client) -> None:
    answer = await client.send("GET", "/pyserve/v2/not-allowed")
    assert (answer.status, answer.reason) == (405, "Not Allowed")
    assert answer.body == b'{"error":"Method Not Allowed"}'
    assert answer.all("X-Kept") == ["yes"]
    for name, count in {"Server": 1, "Date": 1, "Content-Type": 1, "Content-Length": 1}.items():
        assert len(answer.all(name)) == count, name
    assert answer.all("Server") != ["fake"]
    assert "*" not in answer.all("Access-Control-Allow-Origin")
    assert not [cookie for cookie in answer.all("Set-Cookie") if cookie.startswith("a=b")]


async def test_an_empty_post_has_a_length(client: Client) -> None:
    told = (await client.send("POST", INFER)).json()
    assert ["Content-Length", "0"] in told["headers"]


async def test_chunked_request(client: Client) -> None:
    reader, writer = await client.open("POST", INFER, [("Transfer-Encoding", "chunked")])
    for _ in range(3):
        writer.write(b"5\r\nhello\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    head = await read_head(reader)
    body = b"".join([piece async for piece in read_body(reader, head)])
    assert b'"body": 15' in body
    writer.close()


async def test_two_framings_are_refused(client: Client) -> None:
    answer = await client.send("POST", INFER, [("Transfer-Encoding", "chunked")], body=b"0\r\n\r\n")
    assert answer.status == 400


async def test_chunks_are_relayed_as_they_come(client: Client) -> None:
    reader, writer = await client.open("GET", "/pyserve/v2/ticks")
    head = await read_head(reader)
    assert head.all("Content-Type") == ["text/event-stream"]
    pieces = aiter(read_body(reader, head))
    assert await anext(pieces) == b"data: 1"
    await client.send("GET", "/pyserve/v2/go-on")
    assert [piece async for piece in pieces] == [b"data: 2"]
    writer.close()


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
async def test_a_duplex_stream_of_any_size(framing: str, client: Client) -> None:
    """The answer starts before the request has ended, and is larger than every buffer on the way."""
    size, piece = 8 << 20, os.urandom(1 << 16)
    value = str(size) if framing == "Content-Length" else "chunked"
    reader, writer = await client.open("POST", "/pyserve/v2/echo", [(framing, value)])

    async def upload() -> None:
        for _ in range(size // len(piece)):
            writer.write(piece if framing == "Content-Length" else b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"" if framing == "Content-Length" else b"0\r\n\r\n")

    uploading = asyncio.ensure_future(upload())
    head = await read_head(reader)
    received = b"".join([part async for part in read_body(reader, head)])
    await uploading
    assert received == piece * (size // len(piece))
    writer.close()


async def test_how_large_a_body_may_be_is_for_the_engine_to_say(client: Client) -> None:
    reader, writer = await client.open("POST", "/pyserve/v2/unread", [("Content-Length", str(1 << 40))])
    head = await read_head(reader)
    assert b"".join([piece async for piece in read_body(reader, head)]) == b'{"error":"too large"}'
    writer.transport.abort()


async def test_an_early_answer_is_not_lost(client: Client) -> None:
    answer = await client.send("POST", "/pyserve/v2/unread", body=b"x" * (4 << 20))
    assert (answer.status, answer.json()) == (400, {"error": "too large"})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no-answer", "the inference engine closed the connection before it answered"),
        ("garbage", "the inference engine's answer is not HTTP"),
    ],
)
async def test_no_answer_is_a_bad_gateway(path: str, message: str, client: Client) -> None:
    answer = await client.send("POST", f"/pyserve/v2/{path}", body=b"x" * 100)
    assert (answer.status, answer.reason) == (502, "Bad Gateway")
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].startswith(message)


async def test_an_answer_that_is_cut_off_is_not_taken_for_whole(client: Client) -> None:
    reader, writer = await client.open("GET", "/pyserve/v2/cut-off")
    pieces = aiter(read_body(reader, await read_head(reader)))
    assert await anext(pieces) == b"hello"
    with pytest.raises(asyncio.IncompleteReadError):
        await anext(pieces)
    writer.close()


async def test_the_engine_learns_that_the_client_has_gone(client: Client, runtime: Path) -> None:
    _, writer = await client.open("GET", "/pyserve/v2/wait")
    await appears(runtime / "waiting")
    writer.close()
    await appears(runtime / "hung_up")


async def test_the_engine_learns_that_an_upload_was_given_up(client: Client, runtime: Path) -> None:
    _, writer = await client.open("POST", INFER, [("Content-Length", "1000")])
    writer.write(b"half")
    await writer.drain()
    writer.transport.abort()
    await appears(runtime / "hung_up")


async def test_polling_is_no_activity(client: Client, jp_serverapp: Any) -> None:
    settings = jp_serverapp.web_app.settings
    before = settings.get("api_last_activity")
    await client.send("GET", "/pyserve/api/status")
    await client.send("GET", "/pyserve/api/models/m/logs?tail=10")
    assert settings.get("api_last_activity") == before
    await client.send("POST", INFER, body=b"{}")
    assert settings.get("api_last_activity") not in {before, None}


async def test_connections_are_given_back(client: Client) -> None:
    await client.send("GET", "/pyserve/v2")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("", "/no-answer", "/not-allowed") * 10:
        await client.send("GET", f"/pyserve/v2{path}")
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
