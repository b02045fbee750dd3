"""generate and generate_stream over HTTP with a real stub: events as they come, and clients that go or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_pyserve.transports.http.connection import Connection
from jupyter_pyserve.transports.http.head import Gate
from jupyter_pyserve.transports.http.server import HttpServer
from jupyter_pyserve.v2.generate import NOT_ONE_RESPONSE
from tests.process.inside import Inside, model_config, serving
from tests.process.waiting import DEADLINE_S

#: IN says how many responses; 100 fails, 500 goes on until the client has gone.
BODY = """
def execute(self, requests):
    for request in requests:
        sender, number = request.get_response_sender(), int(value(request))
        if number == 500:
            self.flood(request, sender)
        elif number >= 100:
            raise ValueError("boom")
        for step in range(number % 100):
            sender.send(out(step))
        sender.send(flags=FINAL)

def flood(self, request, sender):
    while not request.is_cancelled():
        sender.send(out(1, 20000))
"""


class Client:
    """One connection, read as it comes."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server_side: asyncio.WriteTransport
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.server_side = server_side
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        self.pause, self.resume = transport.pause_reading, transport.resume_reading

    async def ask(self, path: str, body: str, *headers: str) -> None:
        lines = [
            f"POST /v2/models/m/{path} HTTP/1.1",
            "Host: localhost",
            f"Content-Length: {len(body)}",
            *headers,
            "",
            body,
        ]
        self.writer.write("\r\n".join(lines).encode())
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers."""
        text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        status, *lines = text.decode().strip().split("\r\n")
        return int(status.split()[1]), dict(line.split(": ", 1) for line in lines)

    async def chunk(self) -> str:
        """The next piece; empty at the end."""
        size = int(await asyncio.wait_for(self.reader.readline(), DEADLINE_S), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), DEADLINE_S)
        return data[:-2].decode()

    async def event(self) -> Any:
        """The next event; None at the end."""
        text = await self.chunk()
        if not text:
            return None
        assert text.startswith("data: ")
        assert text.endswith("\n\n")
        return json.loads(text[6:])

    async def events(self) -> list[Any]:
        """All of them."""
        found = []
        while (event := await self.event()) is not None:
            found.append(event)
        return found


Scenario = Callable[[Inside, Client], Awaitable[None]]


@contextlib.asynccontextmanager
async def connected(inside: Inside) -> AsyncIterator[Client]:
    ours, theirs = socket.socketpair()
    server = HttpServer(inside.service, Gate(trusted=True))
    loop = asyncio.get_running_loop()
    server_side, _ = await loop.connect_accepted_socket(lambda: Connection(server), theirs)
    client = Client(*await asyncio.open_connection(sock=ours), server_side)
    try:
        yield client
    finally:
        client.writer.close()
        await server.close(5)


def play(folder: Path, scenario: Scenario, body: str = BODY, **config: Any) -> None:
    async def run() -> None:
        async with serving(folder, body, model_config(**config)) as inside:
            async with connected(inside) as client:
                await scenario(inside, client)
            await inside.settled()

    asyncio.run(run())


def test_events_are_sent_as_they_come(tmp_path: Path) -> None:
    body = f"""
def execute(self, requests):
    sender = requests[0].get_response_sender()
    for step in range(3):
        sender.send(out(step))
        open({str(tmp_path / "gate")!r}).read()
    sender.send(flags=FINAL)
"""

    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate_stream", '{"IN":1,"id":"me"}')
        status, headers = await client.head()
        assert (status, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        for step in range(3):
            assert await client.event() == {"OUT": step, "id": "me", "model_name": "m", "model_version": "1"}
            await asyncio.to_thread((tmp_path / "gate").write_text, "go")
        assert await client.event() is None

    os.mkfifo(tmp_path / "gate")
    play(tmp_path, scenario, body)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_connection_goes_on_after_a_stream(tmp_path: Path, count: int) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        for _ in range(2):
            await client.ask("generate_stream", f'{{"IN":{count}}}')
            assert (await client.head())[0] == 200
            assert [event["OUT"] for event in await client.events()] == list(range(count))

    play(tmp_path, scenario)


def test_a_stream_that_begins_with_an_error(tmp_path: Path) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate_stream", '{"IN":100}')
        status, headers = await client.head()
        assert (status, headers["Content-Type"]) == (400, "text/event-stream; charset=utf-8")
        (event,) = await client.events()
        assert "ValueError: boom" in event["error"]

    play(tmp_path, scenario)


@pytest.mark.parametrize(("count", "ok"), [(0, False), (1, True), (2, False)])
def test_generate_wants_one_response(tmp_path: Path, count: int, ok: bool) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate", f'{{"IN":{count}}}')
        status, headers = await client.head()
        assert (status, headers["Content-Type"]) == (200, "application/json")
        answer = json.loads(await client.chunk())
        assert await client.chunk() == ""
        expected = {"OUT": 0, "model_name": "m", "model_version": "1"}
        assert answer == (expected if ok else {"error": NOT_ONE_RESPONSE})

    play(tmp_path, scenario)


def test_generate_says_what_failed(tmp_path: Path) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate", '{"IN":100}')
        assert (await client.head())[0] == 400
        assert "ValueError: boom" in json.loads(await client.chunk())["error"]
        await client.chunk()
        await client.ask("generate", '{"IN":"x"}')
        status, headers = await client.head()
        assert (status, headers["Content-Type"]) == (500, "application/json")
        text = await client.reader.readexactly(int(headers["Content-Length"]))
        assert b"Unable to parse 'data'" in text
        await client.ask("generate", '{"IN":1}', "Content-Encoding: gzip")
        assert (await client.head())[0] == 400

    play(tmp_path, scenario)


def test_a_model_that_is_not_decoupled_generates_too(tmp_path: Path) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate_stream", '{"IN":3}')
        assert (await client.head())[0] == 200
        assert [event["OUT"] for event in await client.events()] == [4]

    body = "def execute(self, requests):\n    return [out(value(request) + 1) for request in requests]"
    play(tmp_path, scenario, body, decoupled=False)


def test_a_client_that_goes_cancels_its_request(tmp_path: Path) -> None:
    async def scenario(inside: Inside, client: Client) -> None:
        await client.ask("generate_stream", '{"IN":500}')
        await client.head()
        await client.chunk()
        client.writer.transport.abort()
        await inside.until(lambda: not inside.servable.outstanding, "the model has given up")

    play(tmp_path, scenario)


def test_a_client_that_does_not_read_holds_the_model_back(tmp_path: Path) -> None:
    body = BODY.replace(
        "def flood",
        """
def initialize(self, args):
    from pyserve_stub import session
    session._UNREAD_BLOCKS, session._STALL_S = 20, 3600.0

def flood""",
    )

    async def scenario(inside: Inside, client: Client) -> None:
        buffered: list[int] = []
        streamed = inside.servable.streamed

        def watch(job: Any, response: Any) -> None:
            streamed(job, response)
            buffered.append(client.server_side.get_write_buffer_size())

        inside.servable.streamed = watch  # type: ignore[method-assign]
        await client.ask("generate_stream", '{"IN":500}')
        client.pause()
        await inside.until(lambda: len(buffered) >= 20, "the model has sent what may be unread")
        client.resume()
        await client.head()
        for _ in range(100):
            await client.chunk()
        assert max(buffered) < 500_000  # each event is 80,000 long

    play(tmp_path, scenario, body)
