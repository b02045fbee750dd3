"""The operating system's side of one stub: its process, its output pipes, its status page, and how it ends.

Knows nothing of frames or models.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pyserve_stub import status as status_page

from jupyter_pyserve.engine.logs import PipeReader
from jupyter_pyserve.telemetry.processes import start_ticks


class Spawner(Protocol):
    """Whoever makes processes of stubs: the zygote, or an execution environment by way of it."""

    async def spawn(self, title: Sequence[str], fds: Sequence[int], on_exit: Callable[[int], None]) -> int:
        """Start one; its process id. `on_exit` gets its wait status when it ends."""


class StubProcess:
    """A process that was asked of `spawner`. `on_line` gets what it prints: stream, line, request."""

    def __init__(self, spawner: Spawner, on_line: Callable[[str, str, str], None]) -> None:
        self._spawner = spawner
        self._on_line = on_line
        self._pipes: list[PipeReader] = []
        self._page: mmap.mmap | None = None
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.pid = 0
        self.started_at = 0.0
        #: With the number, what tells this process from a later one.
        self.start_ticks: int | None = None

    async def start(self, title: Sequence[str], take_socket: Callable[[socket.socket], None]) -> None:
        """Start it; `take_socket` gets our end of its channel before the process exists."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        page = os.memfd_create("pyserve-status", os.MFD_CLOEXEC)
        os.ftruncate(page, status_page.STATUS_NBYTES)
        out, out_end = os.pipe2(os.O_CLOEXEC)
        err, err_end = os.pipe2(os.O_CLOEXEC)
        with theirs:
            try:
                take_socket(ours)
                self._page = mmap.mmap(page, status_page.STATUS_NBYTES, access=mmap.ACCESS_READ)
                self._pipes = [PipeReader(out, self._printed("stdout")), PipeReader(err, self._printed("stderr"))]
                self.pid = await self._spawner.spawn(title, [theirs.fileno(), out_end, err_end, page], self._on_exit)
                self.started_at, self.start_ticks = time.time(), start_ticks(self.pid)
            finally:
                for fd in (page, out_end, err_end):
                    os.close(fd)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if not self._exited.done() or self._exited.result() < 0:
            return "ended"
        status = os.waitstatus_to_exitcode(self._exited.result())
        if status >= 0:
            return f"ended with exit status {status}"
        name = signal.Signals(-status).name if -status in set(signal.Signals) else "unknown"
        return f"was ended by signal {-status} ({name})"

    def status(self) -> status_page.Status | None:
        """What it says it is doing; for showing only."""
        return status_page.read_status(self._page) if self._page is not None else None

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.pid and not self._exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        if not self.pid:
            return True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._exited), timeout_s)
        return self._exited.done()

    def close(self) -> None:
        """It has ended: take what it printed last, and hold nothing of it any more."""
        for pipe in self._pipes:
            pipe.close()
        if self._page is not None:
            self._page.close()
            self._page = None

    def _on_exit(self, status: int) -> None:
        if not self._exited.done():
            self._exited.set_result(status)

    def _printed(self, stream: str) -> Callable[[str, str], None]:
        return lambda line, request: self._on_line(stream, line, request)
