"""The two servers under test behind one face: start on a repository, ask over HTTP, stop."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.metrics import OURS, TRITON
from benchmarks.processes import running
from benchmarks.triton import TritonInstallation

HTTP_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `repository` may be changed under it."""

    name: str
    pid: int
    port: int
    grpc_port: int
    #: Answers where the case has switched metrics on; ours always does.
    metrics_port: int
    repository: Path

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HTTP_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            answer = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{self.name}: {method} {path} gave {response.status}: {answer[:1000]!r}")
        return answer


class Server(Protocol):
    """Something that can be started on a model repository, with Triton's options."""

    @property
    def name(self) -> str: ...

    def start(self, repository: Path, options: Sequence[str] = ()) -> contextlib.AbstractContextManager[Running]: ...


@dataclass(frozen=True, slots=True)
class Triton:
    installation: TritonInstallation
    log: Path
    name: str = TRITON

    @contextlib.contextmanager
    def start(self, repository: Path, options: Sequence[str] = ()) -> Iterator[Running]:
        port, grpc_port, metrics_port = free_ports(3)
        options = [f"--metrics-port={metrics_port}", *options]
        command = self.installation.command(repository=repository, http_port=port, grpc_port=grpc_port, options=options)
        with running(command, log=self.log, ready=lambda: is_ready(port), env=self.installation.environment) as process:
            yield Running(self.name, process.pid, port, grpc_port, metrics_port, repository)


@dataclass(frozen=True, slots=True)
class Pyserve:
    log: Path
    python: Sequence[str] = (sys.executable,)
    name: str = OURS

    @contextlib.contextmanager
    def start(self, repository: Path, options: Sequence[str] = ()) -> Iterator[Running]:
        http_port, grpc_port, metrics_port = free_ports(3)
        ports = [f"--http-port={http_port}", f"--grpc-port={grpc_port}", f"--metrics-port={metrics_port}"]
        arguments = ["-m", "jupyter_pyserve", "serve", f"--model-repository={repository}", *ports, *options]
        with running([*self.python, *arguments], log=self.log, ready=lambda: is_ready(http_port)) as process:
            yield Running(self.name, process.pid, http_port, grpc_port, metrics_port, repository)


def is_ready(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/v2/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
