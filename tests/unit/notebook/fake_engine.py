"""A fake engine that answers HTTP on a Unix socket."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

MODEL = {
    "name": "add_one",
    "state": "READY",
    "reason": "",
    "versions": [{"version": "1", "state": "READY", "reason": ""}],
    "instances": [
        {
            "name": "add_one_0",
            "version": "1",
            "pid": 4711,
            "state": "READY",
            "kind": "CPU",
            "requests": 3,
            "failures": 1,
        }
    ],
    "max_batch_size": 0,
    "inputs": [{"name": "INPUT0", "datatype": "FP32", "shape": [-1]}],
    "outputs": [{"name": "OUTPUT0", "datatype": "FP32", "shape": [-1]}],
    "owner": None,
}
ENGINE = {
    "pid": 99,
    "version": "0.1.0",
    "state": "READY",
    "repositories": ["/srv/models"],
    "http_url": "http://127.0.0.1:8000",
    "grpc_url": None,
    "metrics_url": None,
}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    lines: Iterable[bytes] | None = None  # streamed, chunked, each when the iterable gives it


class FakeEngine:
    """What the engine's Unix socket answers: a table from method and path to an answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requests: list[Request] = []
        self.connections = 0
        self.answers: dict[str, Answer | Callable[[Request], Answer]] = {}
        self.models: list[dict[str, Any]] = [MODEL]

    def answer(self, method: str, path: str, **fields: Any) -> None:
        if "json" in fields:
            fields["body"] = json.dumps(fields.pop("json")).encode()
        self.answers[f"{method} {path}"] = Answer(**fields)

    def deployment(self, name: str, *events: dict[str, Any]) -> None:
        lines = [json.dumps(event).encode() + b"\n" for event in events]
        self.answer("POST", f"/api/models/{name}/deploy", lines=lines)

    def reply(self, request: Request) -> Answer:
        self.requests.append(request)
        if request.path == "/api/status":
            return Answer(body=json.dumps({"engine": ENGINE, "models": self.models}).encode())
        found = self.answers.get(f"{request.method} {request.path}")
        if found is None:
            return Answer(status=404, body=b'{"error":"Not Found"}')
        return found(request) if callable(found) else found

    def last(self, path: str) -> Request:
        return next(request for request in reversed(self.requests) if request.path == path)


def _handler(engine: FakeEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            engine.connections += 1

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = engine.reply(Request(self.command, self.path, dict(self.headers), body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.lines is None:
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in answer.lines:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")

        do_POST = do_GET  # noqa: N815 - http.server's name

    return Handler


class FakeEngineServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is part of these tests."""

    @classmethod
    def serving(cls, engine: FakeEngine) -> FakeEngineServer:
        return cls(str(engine.directory / "http.sock"), _handler(engine))
