"""A stand-in for the engine: speaks the descriptor protocol of its command line and answers HTTP in telling ways.

Run as a script, with the standard library only. What it does is decided by the path of a request, by the environment
variable FAKE_ENGINE (a JSON object), and by what it finds in the runtime directory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

PLAN: dict[str, Any] = json.loads(os.environ.get("FAKE_ENGINE", "{}"))
CHUNK = 64 * 1024


class Request:
    """A request's head, and its body as it comes."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.headers = [line.split(": ", 1) for line in lines if line]
        self._reader = reader

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name]
        return found[0] if found else None

    async def pieces(self) -> Any:
        if self.header("transfer-encoding") == "chunked":
            while size := int(await self._reader.readline(), 16):
                yield await self._reader.readexactly(size)
                await self._reader.readline()
            await self._reader.readline()
        rest = int(self.header("content-length") or 0)
        while rest:
            piece = await self._reader.read(min(rest, CHUNK))
            if not piece:
                raise ConnectionError("the client hung up")
            rest -= len(piece)
            yield piece


class FakeEngine:
    """The behaviours, by path."""

    def __init__(self, runtime_dir: Path) -> None:
        self.runtime_dir = runtime_dir
        self.stopped = asyncio.Event()
        self.go_on = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = Request(await reader.readuntil(b"\r\n\r\n"), reader)
            name = request.target.split("?")[0].rsplit("/", 1)[-1].replace("-", "_")
            await getattr(self, f"do_{name}", self.do_tell)(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            (self.runtime_dir / "hung_up").touch()
        finally:
            writer.close()

    async def do_tell(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """What arrived here, as JSON."""
        length = 0
        async for piece in request.pieces():
            length += len(piece)
        told = {"method": request.method, "target": request.target, "headers": request.headers, "body": length}
        answer(writer, "200 OK", json.dumps({**told, "pid": os.getpid()}).encode(), request.method)

    async def do_echo(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """The body, sent back while it still arrives."""
        length = request.header("content-length")
        framing = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n".encode())
        async for piece in request.pieces():
            writer.write(piece if length else b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"" if length else b"0\r\n\r\n")

    async def do_not_allowed(self, request: Request, writer: asyncio.StreamWriter) -> None:
        extra = "Server: fake\r\nDate: never\r\nSet-Cookie: a=b\r\nAccess-Control-Allow-Origin: *\r\nX-Kept: yes\r\n"
        answer(writer, "405 Not Allowed", b'{"error":"Method Not Allowed"}', request.method, extra)

    async def do_generate(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """What a model's exception looks like."""
        text = 'ValueError: "boom"\n\nAt:\n  /home/me/"x".py(7): execute\n  <string>(1): f\n and more'
        answer(writer, "500 Internal Server Error", json.dumps({"error": text}).encode(), request.method)

    async def do_unread(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """An answer without having read the request."""
        answer(writer, "400 Bad Request", b'{"error":"too large"}', request.method)

    async def do_ticks(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """A chunk, and the second only on request: whoever makes it proves that the first was not held back."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"7\r\ndata: 1\r\n")
        await writer.drain()
        await self.go_on.wait()
        writer.write(b"7\r\ndata: 2\r\n0\r\n\r\n")

    async def do_go_on(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.go_on.set()
        await self.do_tell(request, writer)

    async def do_wait(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """No answer; notices when the client hangs up."""
        (self.runtime_dir / "waiting").touch()
        if not await request._reader.read(1):
            raise ConnectionError("the client hung up")

    async def do_events(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Two lines in odd pieces, and then nothing more, for as long as somebody listens; `end=1` ends it."""
        credentials = [name for name, _ in request.headers if name.lower() in ("authorization", "cookie", "referer")]
        first = json.dumps({"seq": 1, "target": request.target, "credentials": credentials}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (first[:7], first[7:] + b'\n{"se', b'q": 2}\n'):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        if "end=1" in request.target:
            writer.write(b"0\r\n\r\n")
        elif not await request._reader.read(1):
            raise ConnectionError("the client hung up")

    async def do_no_answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hangs up."""

    async def do_garbage(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not HTTP\r\n\r\n")

    async def do_cut_off(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")

    async def do_crash(self, request: Request, writer: asyncio.StreamWriter) -> None:
        sys.stderr.write("E1122 10:00:00.000000 about to crash\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def answer(writer: asyncio.StreamWriter, status: str, body: bytes, method: str, extra: str = "") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + (b"" if method == "HEAD" else body))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for option in (
        "--runtime-dir",
        "--model-repository",
        "--model-control-mode",
        "--http-port",
        "--http-address",
        "--grpc-port",
        "--grpc-address",
        "--exit-timeout-secs",
    ):
        parser.add_argument(option)
    parser.add_argument("--http-fd", type=int)
    parser.add_argument("--lane-fd", type=int)
    return parser.parse_known_args()[0]  # the engine has more of them than this one understands


def main() -> int:
    options = parse_arguments()
    runtime_dir = Path(options.runtime_dir)
    with (runtime_dir / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if PLAN.get("exit_at_start") is not None:
        sys.stderr.write("E1122 10:00:00.000000 cannot start: no reason at all\n")
        return int(PLAN["exit_at_start"])
    if not Path(options.model_repository).is_dir() or "PYSERVE_TOKEN" not in os.environ:
        return 3
    return asyncio.run(serve(runtime_dir, options.http_fd))


async def serve(runtime_dir: Path, http_fd: int) -> int:
    engine = FakeEngine(runtime_dir)
    loop = asyncio.get_running_loop()
    if PLAN.get("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        loop.add_signal_handler(signal.SIGTERM, engine.stopped.set)
    loop.add_reader(sys.stdin.fileno(), lambda: engine.stopped.set() if not os.read(0, 1) else None)
    server = await asyncio.start_unix_server(engine.serve, sock=socket.socket(fileno=http_fd))
    ready = json.dumps({"event": "ready", "pid": os.getpid(), "http_url": None})
    sys.stdout.write(f"a line that is no event\n{ready}\n")
    sys.stdout.flush()
    await engine.stopped.wait()
    server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
