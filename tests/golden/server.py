"""Starts any v2 server from a command template, waits until it answers, and stops it with SIGTERM."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.golden.exchange import exchange

#: How long a start may go on without a word in the log: on a busy machine it may take minutes.
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 45.0

_READY = b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


class DidNotStart(RuntimeError):
    """The server ended, or did not get ready; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a server listens, on loopback."""

    http: int
    grpc: int
    metrics: int


@contextlib.contextmanager
def running(
    template: str,
    *,
    repository: Path,
    options: Sequence[str],
    log: Path,
    inherited: Sequence[int] = (),
    ports: Ports | None = None,
) -> Iterator[tuple[str, int]]:
    """`template` has the fields {repository}, {http}, {grpc}, {metrics}; options follow. Yields the HTTP address."""
    ports = ports or Ports(*free_ports(3))
    http = ports.http
    command = [
        word.format(repository=repository, http=http, grpc=ports.grpc, metrics=ports.metrics)
        for word in shlex.split(template)
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
            start_new_session=True,
        )
    try:
        _wait_until_ready(("127.0.0.1", http), process, log)
        yield ("127.0.0.1", http)
    finally:
        _stop(process)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; held together while they are looked for, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait_until_ready(address: tuple[str, int], process: subprocess.Popen[bytes], log: Path) -> None:
    said, deadline = 0, time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        if log.stat().st_size != said:
            said, deadline = log.stat().st_size, time.monotonic() + START_TIMEOUT_S
        with contextlib.suppress(OSError):
            if exchange(address, _READY)[0].get("status") == 200:
                return
        time.sleep(0.05)
    raise DidNotStart(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a Triton that crashed leaves processes behind
        if process.stdin is not None:
            process.stdin.close()
