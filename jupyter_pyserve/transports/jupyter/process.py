"""One engine process: starting it, hearing that it is ready, forwarding what it says, ending it.

Owns the child and its pipes. Decides nothing: when to start, restart or stop is the supervisor's business.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Final

from jupyter_pyserve.transports.jupyter.output import LineBudget, LineSplitter, Loading, Ready, level, parse_event

_LAST_WORDS: Final = 8
_KILL_TIMEOUT_S: Final = 5.0
_DRAIN_TIMEOUT_S: Final = 0.5


class EngineDeathError(Exception):
    """The process ended, or never became ready; the text says what is known about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCommand:
    """How the engine is started: everything passes through the command line, the environment and descriptors."""

    argv: Sequence[str]
    environment: dict[str, str]
    inherited_fds: Sequence[int] = ()
    log_lines_per_s: float = 50.0
    prepare: Callable[[], None] = field(default=lambda: None)


class EngineProcess:
    """A running engine."""

    def __init__(self, command: EngineCommand, log: logging.Logger) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[Ready] = self._loop.create_future()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._loads_models = asyncio.Event()
        self._last_words: deque[str] = deque(maxlen=_LAST_WORDS)
        self._budget = LineBudget(lines_per_s=command.log_lines_per_s, burst=round(command.log_lines_per_s * 4))
        self._pipes: list[asyncio.ReadTransport] = []
        self._silent: list[asyncio.Future[None]] = []
        # Its end of file tells the engine that this server is gone, however it went. The session of its own keeps a
        # Ctrl-C in the terminal, which Jupyter asks about first, from reaching the engine.
        self._child = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=command.environment,
            pass_fds=command.inherited_fds,
            start_new_session=True,
        )
        # asyncio's own child handling may tell of an exit only when every holder of the pipes has gone too.
        threading.Thread(target=self._reap, name="pyserve-engine-wait", daemon=True).start()

    @classmethod
    async def launch(cls, command: EngineCommand, log: logging.Logger) -> EngineProcess:
        """Starts an engine; raises EngineDeathError when that is not possible."""
        try:
            command.prepare()
            process = cls(command, log)
        except OSError as error:
            raise EngineDeathError(f"the engine could not be started: {error}") from error
        try:
            await process._listen(process._child.stdout, process._on_stdout)
            await process._listen(process._child.stderr, process._on_line)
        except BaseException:
            process.close()
            raise
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    async def ready(self, timeout_s: float) -> Ready:
        """Waits until it accepts requests. The time limit is for the engine itself, not for models that it loads."""
        first: set[asyncio.Future[Any]] = {self._ready, self._exited}
        done, _ = await asyncio.wait(first, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done and self._loads_models.is_set():
            done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if self._ready in done:
            return self._ready.result()
        if self._exited in done:
            await self._hear_out()
            raise EngineDeathError(self.obituary())
        raise EngineDeathError(f"the engine was not ready within {timeout_s:g} s{self._quote()}")

    async def wait(self) -> int:
        """Waits for its end; the exit status, negative for a signal."""
        status = await asyncio.shield(self._exited)
        await self._hear_out()
        return status

    async def stop(self, timeout_s: float) -> None:
        """Asks it to finish, and kills it with everything it started when it has not after `timeout_s`."""
        try:
            for signum, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, _KILL_TIMEOUT_S)):
                if self._exited.done():
                    break
                self._signal(signum)
                await asyncio.wait({self._exited}, timeout=patience_s)
        finally:
            self.close()

    def close(self) -> None:
        """Kills what still runs and gives the pipes back."""
        if not self._exited.done():
            self._signal(signal.SIGKILL)
        if self._child.stdin is not None:
            with suppress(OSError):
                self._child.stdin.close()
        for pipe in self._pipes:
            pipe.close()

    def obituary(self) -> str:
        """How it ended and what it said last, for a human."""
        status = self._exited.result() if self._exited.done() else None
        if status is None:
            cause = "stopped answering"
        elif status < 0:
            cause = f"was killed by {_signal_name(-status)}"
        else:
            cause = f"exited with status {status}"
        return f"the engine {cause}{self._quote()}"

    def _quote(self) -> str:
        return f"; it said last: {' | '.join(self._last_words)}" if self._last_words else ""

    def _signal(self, signum: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if signum == signal.SIGKILL:
                # It leads its own process group, in which its helpers live.
                os.killpg(self._child.pid, signum)
            else:
                os.kill(self._child.pid, signum)

    def _reap(self) -> None:
        status = self._child.wait()
        # The loop may be closed already when the whole server is going down.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._on_exit, status)

    def _on_exit(self, status: int) -> None:
        if not self._exited.done():
            self._exited.set_result(status)

    async def _listen(self, pipe: IO[bytes] | None, on_line: Callable[[str], None]) -> None:
        silent: asyncio.Future[None] = self._loop.create_future()
        transport, _ = await self._loop.connect_read_pipe(lambda: _Lines(on_line, silent), pipe)
        self._pipes.append(transport)
        self._silent.append(silent)

    async def _hear_out(self) -> None:
        """What a dead process wrote is in the pipes still; a helper that holds them open is not waited for."""
        await asyncio.wait(self._silent, timeout=_DRAIN_TIMEOUT_S)

    def _on_stdout(self, line: str) -> None:
        event = None if self._ready.done() else parse_event(line)
        if isinstance(event, Ready):
            self._ready.set_result(event)
        elif isinstance(event, Loading):
            self._loads_models.set()
        else:
            self._on_line(line)

    def _on_line(self, line: str) -> None:
        self._last_words.append(line)
        dropped = self._budget.take(self._loop.time())
        if dropped is None:
            return
        if dropped > 0:
            self._log.warning("pyserve engine: %d lines are not shown here", dropped)
        self._log.log(level(line), "pyserve engine: %s", line)


class _Lines(asyncio.Protocol):
    """Reads a pipe to its end; never pauses, because a full pipe would stall the engine."""

    def __init__(self, on_line: Callable[[str], Any], silent: asyncio.Future[None]) -> None:
        self._splitter = LineSplitter()
        self._on_line = on_line
        self._silent = silent

    def data_received(self, data: bytes) -> None:
        for line in self._splitter.feed(data):
            self._on_line(line)

    def connection_lost(self, exc: Exception | None) -> None:
        for line in self._splitter.end():
            self._on_line(line)
        if not self._silent.done():
            self._silent.set_result(None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
