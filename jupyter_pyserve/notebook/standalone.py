"""`pyserve.serve`: a server of its own on ports, as `tritonserver` is one, started and stopped from a notebook.

Owns the processes that this kernel started so, their addresses and their last words. They end with the kernel,
because they read the other end of a pipe. The magics go on talking to the kernel's engine, not to these.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from typing import IO

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, columns, element, link, table

_COMMAND = (sys.executable, "-m", "jupyter_pyserve", "serve")
_LAST_WORDS = 200
_STOP_TIMEOUT_S = 35.0
#: How long the end of its input may take to be heard.
_PIPE_S = 2.0
_HEADER = ("server", "pid", "state", "address")
_LABELS = {"http_url": "HTTP", "grpc_url": "gRPC", "metrics_url": "metrics"}


class StandAlone(View):
    """One server: `http_url`, `grpc_url`, `metrics_url`, `output()`, `stop()`."""

    def __init__(self, options: Sequence[str], *, command: Sequence[str] = _COMMAND) -> None:
        self.options = list(options)
        self._owner = os.getpid()
        self._urls: dict[str, str] = {}
        self._words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._ready = threading.Event()
        # Not what leads to this kernel's engine: a stand-alone server has an address and a token of its own, or none.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYSERVE_")}
        self._process = subprocess.Popen(
            [*command, *self.options, "--announce"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt of the cell is not for it
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name="pyserve-serve-output", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def state(self) -> str:
        status = self._process.poll()
        if status is not None:
            return f"ended with status {status}"
        return "READY" if self._urls else "starting"

    @property
    def http_url(self) -> str | None:
        return self._urls.get("http_url")

    @property
    def grpc_url(self) -> str | None:
        return self._urls.get("grpc_url")

    @property
    def metrics_url(self) -> str | None:
        return self._urls.get("metrics_url")

    def output(self) -> str:
        """What it has said last."""
        return "\n".join(self._words)

    def wait_ready(self, timeout_s: float | None) -> bool:
        """Wait until it serves: False when the time is over first. Raises, with its last words, when it has ended."""
        if not self._ready.wait(timeout_s):
            return False
        if not self._urls:
            self._process.wait()
            self.stop()
            raise PyServeError(Code.UNAVAILABLE, f"the server ended before it was ready:\n{self.output()}")
        return True

    def stop(self) -> None:
        """End it as a signal would: requests that it has are answered."""
        if self._owner != os.getpid():
            return  # a fork of the kernel leaves it alone
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        # Where a fork of the kernel still holds the pipe, its end is not seen: then a signal says the same.
        for press, timeout_s in ((self._process.terminate, _PIPE_S), (self._process.kill, _STOP_TIMEOUT_S)):
            try:
                self._process.wait(timeout_s)
                break
            except subprocess.TimeoutExpired:
                press()
        self._process.wait()
        self._reader.join(_STOP_TIMEOUT_S)
        if self in _servers:
            _servers.remove(self)

    def html(self) -> Markup:
        return ServerList([self]).html()

    def plain(self) -> str:
        return ServerList([self]).plain()

    def addresses(self) -> list[tuple[str, str]]:
        """Label and address of each port."""
        return [(label, self._urls[key]) for key, label in _LABELS.items() if self._urls.get(key)]

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                text = line.decode("utf-8", "replace").rstrip()
                if not self._urls and (found := _announced(text)) is not None:
                    self._urls = found
                    self._ready.set()
                else:
                    self._words.append(text)
        self._ready.set()


class ServerList(View):
    """The servers that this kernel has started, and that were not stopped."""

    def __init__(self, servers: Sequence[StandAlone]) -> None:
        self.servers = list(servers)

    def __len__(self) -> int:
        return len(self.servers)

    def __getitem__(self, index: int) -> StandAlone:
        return self.servers[index]

    def html(self) -> Markup:
        return table(_HEADER, self._rows(html=True)) if self.servers else element("div", _NONE)

    def plain(self) -> str:
        return columns(map(str.upper, _HEADER), self._rows(html=False)) if self.servers else _NONE

    def _rows(self, *, html: bool) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for number, server in enumerate(self.servers):
            lead: tuple[object, ...] = (number, server.pid, server.state)
            for label, where in server.addresses() or [("", "")]:
                shown: object = link(where, where) if html and where.startswith("http") else where
                rows.append((*lead, element("span", f"{label} ", shown) if html else f"{label} {where}"))
                lead = ("", "", "")
        return rows


_NONE = "no server of its own runs; %pyserve serve --model-repository DIR [--http-port N] starts one"
_servers: list[StandAlone] = []


def serve(
    model_repository: str | os.PathLike[str],
    *options: str,
    http_port: int | None = None,
    grpc_port: int | None = None,
    metrics_port: int | None = None,
    wait_s: float | None = 60.0,
) -> StandAlone:
    """Serve a model repository on ports of its own (Triton's 8000, 8001 and 8002 unless said otherwise; 0 is any).

    `options` are those of the command `pyserve serve`, which are `tritonserver`'s. Returns when it is ready, or after
    `wait_s`; it goes on by itself until `stop()` or the kernel's end.
    """
    ports = {"--http-port": http_port, "--grpc-port": grpc_port, "--metrics-port": metrics_port}
    words = [f"{name}={port}" for name, port in ports.items() if port is not None]
    return start([f"--model-repository={os.fspath(model_repository)}", *words, *options], wait_s=wait_s)


def start(options: Sequence[str], *, wait_s: float | None) -> StandAlone:
    """The same with options only."""
    server = StandAlone(options)
    _servers.append(server)
    atexit.register(server.stop)
    try:
        server.wait_ready(wait_s)
    except BaseException:
        server.stop()
        raise
    return server


def servers() -> ServerList:
    """Those that this kernel has started, and that were not stopped."""
    return ServerList(_servers)


def _announced(text: str) -> dict[str, str] | None:
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, dict) and found.get("event") == "ready":
            return {key: str(found[key]) for key in _LABELS if found.get(key)}
    return None
