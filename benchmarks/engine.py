"""The engine as the Jupyter extension starts it: on inherited Unix sockets, with its control API and its lane."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import running
from benchmarks.servers import Pyserve

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers on the sockets in its runtime directory."""

    runtime: Path

    @property
    def lane(self) -> Path:
        return self.runtime / "lane.sock"

    def ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = _UnixConnection(self.runtime / "http.sock")
        with contextlib.closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read()
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{method} {path} gave {response.status}: {answer[:1000]!r}")
        return answer


@contextlib.contextmanager
def engine(ours: Pyserve, *, repository: Path, runtime: Path) -> Iterator[Engine]:
    runtime.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listening(runtime / "http.sock", socket.SOCK_STREAM))
        lane = stack.enter_context(_listening(runtime / "lane.sock", socket.SOCK_SEQPACKET))
        started = Engine(runtime=runtime)
        command = [
            *ours.python,
            *("-m", "jupyter_pyserve", "engine"),
            f"--runtime-dir={runtime}",
            f"--model-repository={repository}",
            "--model-control-mode=explicit",
            "--http-port=0",
            "--http-address=127.0.0.1",
            f"--http-fd={listening.fileno()}",
            f"--lane-fd={lane.fileno()}",
        ]
        stack.enter_context(
            running(
                command,
                log=ours.log,
                ready=lambda: started.ask("GET", "/v2/health/live") == b"",
                pass_fds=(listening.fileno(), lane.fileno()),
                stdin=subprocess.PIPE,
            )
        )
        yield started


@contextlib.contextmanager
def _listening(path: Path, kind: socket.SocketKind) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(16)
        os.set_inheritable(listener.fileno(), True)
        yield listener


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
