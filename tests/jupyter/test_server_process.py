"""Seen from outside: how much memory a large body costs the Jupyter server, and what is left when it dies."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter.client import Client, read_body, read_head
from tests.jupyter.conftest import FAKE_ENGINE
from tests.jupyter.server_process import TOKEN, ServerProcess, is_gone, running_server, wait_until

BODY = 70 * 1000 * 1000
MAY_COST = 24 << 20


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with (
        tempfile.TemporaryDirectory(prefix="ps") as folder,
        running_server(Path(folder), {"engine_command": FAKE_ENGINE, "exit_timeout_s": 20.0}) as server,
    ):
        yield server


def engine_pid(server: ServerProcess) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/pyserve/v2")
    request.add_header("Authorization", f"token {TOKEN}")
    with urllib.request.urlopen(request) as response:
        return int(json.loads(response.read())["pid"])


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
async def test_a_large_body_both_ways_costs_no_memory(framing: str, server: ServerProcess) -> None:
    engine_pid(server)
    client = Client(port=server.port, base_url="/", token=TOKEN)
    piece = b"x" * 100_000
    chunked = framing == "Transfer-Encoding"
    server.reset_peak_rss()
    before = server.peak_rss()
    reader, writer = await client.open("POST", "/pyserve/v2/echo", [(framing, "chunked" if chunked else str(BODY))])

    async def upload() -> None:
        for _ in range(BODY // len(piece)):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")

    uploading = asyncio.ensure_future(upload())
    received = 0
    async for part in read_body(reader, await read_head(reader)):
        received += len(part)
    await uploading
    writer.close()
    assert received == BODY
    assert server.peak_rss() - before < MAY_COST


async def upload_until_stuck(writer: asyncio.StreamWriter) -> int:
    """How much of the body goes out. A machine so slow that it only seems stuck makes the test weaker, not wrong."""
    for uploaded in range(0, BODY, 100_000):
        writer.write(b"x" * 100_000)
        try:
            await asyncio.wait_for(writer.drain(), 1)
        except asyncio.TimeoutError:
            return uploaded
    return BODY


async def test_a_slow_reader_does_not_fill_the_servers_memory(server: ServerProcess) -> None:
    engine_pid(server)
    client = Client(port=server.port, base_url="/", token=TOKEN)
    server.reset_peak_rss()
    before = server.peak_rss()
    reader, writer = await client.open("POST", "/pyserve/v2/echo", [("Content-Length", str(BODY))])
    # Nothing is read, so that everything between here and the engine fills up and stops the upload.
    assert await upload_until_stuck(writer) < BODY
    assert server.peak_rss() - before < MAY_COST
    assert not reader.at_eof()
    writer.transport.abort()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL], ids=lambda signum: signum.name)
def test_nothing_runs_on_when_jupyter_ends(signum: signal.Signals, server: ServerProcess) -> None:
    pid = engine_pid(server)
    assert len(server.engine_folders()) == 1
    server.process.send_signal(signum)
    server.process.wait()
    wait_until(lambda: is_gone(pid), "the engine is gone")
    if signum == signal.SIGTERM:
        assert server.engine_folders() == []


def test_the_next_server_sweeps_what_a_killed_one_left() -> None:
    with tempfile.TemporaryDirectory(prefix="ps") as folder:
        traits = {"engine_command": FAKE_ENGINE}
        with running_server(Path(folder), traits) as killed:
            engine_pid(killed)
            left = killed.engine_folders()
            killed.process.kill()
            killed.process.wait()
        with running_server(Path(folder), traits) as server:
            assert len(left) == 1
            assert not left[0].exists()
            assert len(server.engine_folders()) == 1
