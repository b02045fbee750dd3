"""The operating system's side of one stub: its process, its output pipes, its status page, and how it ends.

Knows nothing of frames or models.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
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

#: How often is looked whether all stacks are written.
_LOOK_S = 0.03


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
        self._fd = -1
        self._dumping = asyncio.Lock()
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        #: Called when it has ended.
        self.on_exit: Callable[[], None] = lambda: None
        self.pid = 0
        self.started_at = 0.0
        #: With the number, what tells this process from a later one.
        self.start_ticks: int | None = None

    async def start(self, title: Sequence[str], take_socket: Callable[[socket.socket], None]) -> None:
        """Start it; `take_socket` gets our end of its channel before the process exists."""
        page = self._fd = _status_file()
        self._page = mmap.mmap(page, status_page.STATUS_NBYTES, access=mmap.ACCESS_READ)
        with contextlib.ExitStack() as given:
            out, err = self._pipe("stdout", given), self._pipe("stderr", given)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            given.enter_context(theirs)
            take_socket(ours)
            self.pid = await self._spawner.spawn(title, [theirs.fileno(), out, err, page], self._on_exit)
            self.started_at, self.start_ticks = time.time(), start_ticks(self.pid)

    def _pipe(self, stream: str, given: contextlib.ExitStack) -> int:
        """The end of a pipe that is given to the process; what comes out of the other one is read from now on."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        given.callback(os.close, theirs)
        self._pipes.append(PipeReader(ours, self._printed(stream)))
        return theirs

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

    def dump_stacks(self) -> None:
        """Make it write the stacks of its threads to its log, whatever it is doing."""
        self.signal(signal.SIGUSR2)

    async def stacks(self, timeout_s: float) -> str | None:
        """The stacks of its threads, which it writes whatever it is doing; None when it does not within `timeout_s`.

        It writes them behind its page, from where this side says: both have the same file, and its one position.
        """
        loop = asyncio.get_running_loop()
        async with self._dumping:
            if self._fd < 0:
                return None
            os.lseek(self._fd, status_page.STATUS_NBYTES, os.SEEK_SET)
            self.signal(status_page.STACKS_SIGNAL)
            deadline_s, seen = loop.time() + timeout_s, 0
            while loop.time() < deadline_s:
                await asyncio.sleep(_LOOK_S)
                written = os.lseek(self._fd, 0, os.SEEK_CUR) - status_page.STATUS_NBYTES if self._fd >= 0 else 0
                if written > 0 and written == seen:  # it writes without a pause, so that was all
                    nbytes = min(written, status_page.STACKS_NBYTES)
                    return os.pread(self._fd, nbytes, status_page.STATUS_NBYTES).decode("utf-8", "replace")
                seen = written
            return None

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
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _on_exit(self, status: int) -> None:
        if not self._exited.done():
            self._exited.set_result(status)
            self.on_exit()

    def _printed(self, stream: str) -> Callable[[str, str], None]:
        return lambda line, request: self._on_line(stream, line, request)


def _status_file() -> int:
    """The page, and room for stacks behind it; its size is final, so that reading it is safe whatever a stub does."""
    fd = os.memfd_create("pyserve-status", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, status_page.STATUS_NBYTES + status_page.STACKS_NBYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd
