"""Watching over a WebSocket: who may, what comes, and that a paused or lost client costs the engine nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_pyserve.transports.jupyter.states import EngineState
from jupyter_pyserve.transports.jupyter.supervisor import EngineSupervisor
from tests.jupyter.client import Client
from tests.jupyter.test_access import CANARY, STRANGERS, Authorizing, OnlyTheListed, logged_in

PATH = "/pyserve/api/events"
DEADLINE_S = 20.0


class Watching:
    """WebSockets to the extension, with whatever headers."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.opened: list[WebSocketClientConnection] = []

    async def open(
        self, query: str = "", headers: list[tuple[str, str]] | None = None, *, path: str = PATH, token: bool = True
    ) -> WebSocketClientConnection:
        url = f"ws://127.0.0.1:{self.client.port}{self.client.base_url.rstrip('/')}{path}{query}"
        given = dict(headers or [])
        if token:
            given["Authorization"] = f"token {self.client.token}"
        self.opened.append(await asyncio.wait_for(websocket_connect(HTTPRequest(url, headers=given)), DEADLINE_S))
        return self.opened[-1]

    async def refused(self, query: str = "", headers: list[tuple[str, str]] | None = None, **options: Any) -> int:
        with pytest.raises(HTTPClientError) as caught:
            await self.open(query, headers, **options)
        return caught.value.code


@pytest.fixture
def watching(client: Client) -> Any:
    found = Watching(client)
    yield found
    for connection in found.opened:
        connection.close()


async def read(connection: WebSocketClientConnection) -> Any:
    message = await asyncio.wait_for(connection.read_message(), DEADLINE_S)
    return None if message is None else json.loads(message)


async def until(condition: Callable[[], object]) -> None:
    async def wait() -> None:
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE_S)


async def test_lines_become_messages(watching: Watching) -> None:
    connection = await watching.open("?models=a,b&interval_s=2")
    first = await read(connection)
    assert first == {"seq": 1, "target": "/api/events?models=a,b&interval_s=2", "credentials": []}
    assert await read(connection) == {"seq": 2}


async def test_the_token_in_the_query_does_not_travel_on(watching: Watching) -> None:
    connection = await watching.open(f"?token={watching.client.token}&models=a", token=False)
    assert (await read(connection))["target"] == "/api/events?models=a"


async def test_strangers_open_none(watching: Watching, engine: EngineSupervisor) -> None:
    for name, (query, headers) in STRANGERS.items():
        for upgrade in ("websocket", "WebSocket"):
            assert await watching.refused(query, [*headers, ("Upgrade", upgrade)], token=False) == 403, name
    assert engine.state is EngineState.IDLE


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1.evil.example", "null"])
async def test_pages_of_other_origins_open_none(origin: str, watching: Watching, engine: EngineSupervisor) -> None:
    cookies = await logged_in(watching.client)
    assert await watching.refused("", [*cookies, ("Origin", origin)], token=False) in (403, 404)
    assert engine.state is EngineState.IDLE


async def test_a_page_of_this_server_needs_its_cookie_only(watching: Watching) -> None:
    cookies = await logged_in(watching.client)
    origin = ("Origin", f"http://127.0.0.1:{watching.client.port}")
    connection = await watching.open("", [*cookies, origin], token=False)
    assert (await read(connection))["credentials"] == []


async def test_there_is_no_other_place_for_it(watching: Watching, engine: EngineSupervisor) -> None:
    for path in ("/pyserve/api/status", "/pyserve/api/events/", "/pyserve/api/events/x", "/pyserve/api/models/m/logs"):
        assert await watching.refused(path=path) in (403, 404), path
    assert engine.state is EngineState.IDLE


class TestAuthorizer(Authorizing):
    async def test_who_may_not_read_opens_none(self, watching: Watching, engine: EngineSupervisor) -> None:
        OnlyTheListed.allowed.update({"write", "execute"})
        assert await watching.refused() == 403
        assert OnlyTheListed.asked == [("read", "jupyter_pyserve")]
        assert engine.state is EngineState.IDLE

    async def test_who_may_read_does(self, watching: Watching) -> None:
        OnlyTheListed.allowed.add("read")
        assert (await read(await watching.open()))["seq"] == 1

    async def test_what_users_sent_takes_more(self, client: Client) -> None:
        OnlyTheListed.allowed.add("read")
        for path in ("/pyserve/api/recordings", "/pyserve/api/recordings/7", "/pyserve/api/recordings?model=m"):
            assert (await client.send("GET", path)).status == 403
        OnlyTheListed.allowed.add("execute")
        assert (await client.send("GET", "/pyserve/api/recordings/7")).status == 200


async def test_pause_and_resume(watching: Watching, engine: EngineSupervisor, jp_serverapp: Any) -> None:
    connection = await watching.open("?models=a")
    assert (await read(connection))["seq"] == 1
    assert (await read(connection))["seq"] == 2
    hung_up = runtime_dir(engine) / "hung_up"
    assert not hung_up.exists()
    await connection.write_message('{"pause": true}')
    await until(hung_up.exists)
    await connection.write_message('{"pause": false, "interval_s": 3}')
    assert (await read(connection))["target"] == "/api/events?models=a&interval_s=3"


async def test_another_interval_begins_anew(watching: Watching, engine: EngineSupervisor) -> None:
    connection = await watching.open("?interval_s=1&models=a")
    assert [(await read(connection))["seq"] for _ in range(2)] == [1, 2]
    await connection.write_message('{"interval_s": 4.5}')
    assert (await read(connection))["target"] == "/api/events?models=a&interval_s=4.5"
    await until((runtime_dir(engine) / "hung_up").exists)


async def test_a_client_that_leaves_is_noticed(watching: Watching, engine: EngineSupervisor) -> None:
    connection = await watching.open()
    await read(connection)
    connection.close()
    await until((runtime_dir(engine) / "hung_up").exists)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"interval_s": 0}',
        '{"interval_s": true}',
        '{"interval_s": 1e999}',
        '{"pause": 1}',
        '{"a": 1}',
        "[" * 900,
        "x" * 5000,
    ],
)
async def test_nonsense_ends_the_connection(message: str, watching: Watching) -> None:
    connection = await watching.open()
    await read(connection)
    await connection.write_message(message)
    while await read(connection) is not None:
        pass
    assert connection.close_code in (1008, 1009)


async def test_the_end_of_the_engine_is_told(watching: Watching, engine: EngineSupervisor) -> None:
    connection = await watching.open("?end=1")
    while await read(connection) is not None:
        pass
    assert connection.close_code == 1012


async def test_it_is_no_activity(watching: Watching, jp_serverapp: Any) -> None:
    before = jp_serverapp.web_app.settings.get("api_last_activity"), jp_serverapp.web_app.last_activity()
    connection = await watching.open()
    await read(connection)
    await connection.write_message('{"pause": true}')
    connection.close()
    assert (jp_serverapp.web_app.settings.get("api_last_activity"), jp_serverapp.web_app.last_activity()) == before


async def test_without_an_upgrade_it_is_an_answer_like_any_other(client: Client) -> None:
    answer = await client.send("GET", f"{PATH}?end=1")
    assert answer.status == 200
    assert [json.loads(line)["seq"] for line in answer.body.splitlines()] == [1, 2]
    assert (await client.send("POST", f"{PATH}?end=1", body=b"{}")).status == 200  # to be refused by the engine


async def test_no_secret_gets_into_the_log(watching: Watching, caplog: pytest.LogCaptureFixture) -> None:
    for token in (CANARY, watching.client.token):
        for headers in itertools.chain([[]], [[("Referer", f"http://x/?token={token}")]]):
            if token == CANARY:
                await watching.refused(f"?token={token}", headers, token=False)
            else:
                await read(await watching.open(f"?token={token}", headers, token=False))
    assert CANARY not in caplog.text
    assert watching.client.token not in caplog.text


def runtime_dir(engine: EngineSupervisor) -> Path:
    return engine._runtime.path
