"""Keeps an engine behind the runtime directory's sockets: started on first demand, restarted when it dies, stopped at
the end.

Owns the engine's state, which only `_fire` changes. Knows neither HTTP nor Jupyter; a request asks `ready()`
where to go.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jupyter_pyserve.model.lifecycle import advance
from jupyter_pyserve.transports.jupyter.output import Ready
from jupyter_pyserve.transports.jupyter.process import EngineCommand, EngineDeathError, EngineProcess
from jupyter_pyserve.transports.jupyter.states import TRANSITIONS, EngineEvent, EngineState, RestartPolicy

if TYPE_CHECKING:
    # Its locks exist on Unix only, and importing the extension must work anywhere.
    from jupyter_pyserve.transports.jupyter.runtime import RuntimeDir


class EngineUnavailableError(Exception):
    """There is no engine to talk to; the text says why, for whoever asked."""


class Engine(Protocol):
    """What the proxy needs: an address, or the reason why there is none."""

    @property
    def running(self) -> bool: ...
    async def ready(self) -> str: ...


class Process(Protocol):
    """What the supervisor needs of an engine process."""

    @property
    def pid(self) -> int: ...
    async def ready(self, timeout_s: float) -> Ready: ...
    async def wait(self) -> int: ...
    async def stop(self, timeout_s: float) -> None: ...
    def obituary(self) -> str: ...


Launch = Callable[[EngineCommand, logging.Logger], Awaitable[Process]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """What to start and how patiently."""

    command: EngineCommand
    start_timeout_s: float = 60.0
    exit_timeout_s: float = 30.0
    policy: RestartPolicy = field(default_factory=RestartPolicy)


class MissingEngine:
    """Stands for the engine where there can be none."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    @property
    def running(self) -> bool:
        """Nothing does."""
        return False

    async def ready(self) -> str:
        raise EngineUnavailableError(self._reason)

    def listen(self) -> None:
        """Nobody can connect."""

    async def stop(self) -> None:
        """Nothing runs."""


class EngineSupervisor:
    """The engine of one Jupyter server."""

    def __init__(
        self, spec: EngineSpec, runtime: RuntimeDir, log: logging.Logger, *, launch: Launch = EngineProcess.launch
    ) -> None:
        self._spec = spec
        self._runtime = runtime
        self._log = log
        self._launch = launch
        self._state = EngineState.IDLE
        self._changed = asyncio.Event()
        self._reason = ""
        self._failed_at_s = 0.0
        self._early_deaths = 0
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._listening = False

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def running(self) -> bool:
        """Whether it answers without being started."""
        return self._state is EngineState.RUNNING

    @property
    def pid(self) -> int | None:
        """The engine's process id while it runs."""
        return self._process.pid if self._process is not None else None

    def listen(self) -> None:
        """Lets the first connection start the engine. Needs a running loop."""
        if self._state in {EngineState.IDLE, EngineState.FAILED} and not self._listening:
            loop = asyncio.get_running_loop()
            for listener in (self._runtime.http, self._runtime.lane):
                loop.add_reader(listener, self._on_connection, listener)
            self._listening = True

    async def ready(self) -> str:
        """The engine's address once it accepts requests; starts it when it does not run."""
        self._demand()
        if self._state is not EngineState.RUNNING:
            try:
                await asyncio.wait_for(self._settled(), self._spec.start_timeout_s)
            except asyncio.TimeoutError:
                raise EngineUnavailableError("the inference engine is still starting") from None
        if self._state is not EngineState.RUNNING:
            raise EngineUnavailableError(f"the inference engine is not available: {self._why()}")
        return self._runtime.address

    async def stop(self) -> None:
        """Stops the engine, in good time or by force, and removes the runtime directory."""
        first = self._state not in {EngineState.STOPPING, EngineState.STOPPED}
        self._fire(EngineEvent.STOP)
        if not first:
            await self._settled()
            return
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})
            if self._process is not None:
                await self._process.stop(self._spec.exit_timeout_s)
        finally:
            self._process = None
            self._runtime.remove()
            self._fire(EngineEvent.EXITED)

    def _demand(self) -> None:
        if self._state is EngineState.FAILED and not self._is_forgiven():
            return
        if self._state in {EngineState.IDLE, EngineState.FAILED}:
            self._early_deaths = 0
            self._fire(EngineEvent.DEMAND)
            self._task = asyncio.get_running_loop().create_task(self._keep_running(), name="pyserve-engine")
            self._task.add_done_callback(self._on_task_done)

    async def _settled(self) -> None:
        while self._state in {EngineState.STARTING, EngineState.BACKOFF, EngineState.STOPPING}:
            await self._changed.wait()

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            try:
                await self._run_once()
                self._fire(EngineEvent.EXITED)
                self.listen()
                return
            except EngineDeathError as death:
                self._reason = str(death)
            self._early_deaths = self._spec.policy.early_deaths(self._early_deaths, ran_s=loop.time() - started_s)
            delay_s = self._spec.policy.delay_s(self._early_deaths)
            if delay_s is None:
                self._give_up()
                return
            self._fire(EngineEvent.DIED)
            self._log.warning("pyserve: %s; starting it again in %.1f s", self._reason, delay_s)
            await asyncio.sleep(delay_s)
            self._fire(EngineEvent.WAITED)

    async def _run_once(self) -> None:
        """One life of an engine; returns when it exits in peace, raises EngineDeathError when it does not."""
        process = self._process = await self._launch(self._spec.command, self._log)
        try:
            ready = await process.ready(self._spec.start_timeout_s)
            self._fire(EngineEvent.READY)
            self._reason = ""
            self._log.info("pyserve: engine %d is ready at %s", process.pid, ready.http_url or "its sockets")
            if await process.wait() != 0:
                raise EngineDeathError(process.obituary())
        except asyncio.CancelledError:
            # `stop` ends it with more patience than a cancelled task may have.
            raise
        except BaseException:
            self._process = None
            await process.stop(0)
            raise
        self._process = None
        await process.stop(0)

    def _give_up(self) -> None:
        self._failed_at_s = asyncio.get_running_loop().time()
        self._fire(EngineEvent.GAVE_UP)
        self._log.error("pyserve: giving up after %d early deaths: %s", self._early_deaths, self._reason)
        # Whoever waits in the backlog would wait for ever.
        self.listen()

    def _is_forgiven(self) -> bool:
        return asyncio.get_running_loop().time() - self._failed_at_s >= self._spec.policy.forgive_after_s

    def _why(self) -> str:
        if self._state is EngineState.FAILED:
            return f"it died {self._early_deaths} times shortly after its start; last, {self._reason}"
        return self._reason or f"it is {self._state.value}"

    def _fire(self, event: EngineEvent) -> None:
        self._state = advance(TRANSITIONS, self._state, event)
        if self._listening:
            self._stop_listening()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in (self._runtime.http, self._runtime.lane):
            loop.remove_reader(listener)
        self._listening = False

    def _on_connection(self, listener: socket.socket) -> None:
        self._demand()
        if self._state is EngineState.FAILED:
            answer = _refusal(self._why()) if listener is self._runtime.http else b""
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.setblocking(False)
                    connection.send(answer)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("pyserve: the engine's supervision ended", exc_info=error)
            self._reason = f"its supervision ended: {error}"
            if self._state in {EngineState.STARTING, EngineState.RUNNING}:
                self._give_up()


def _refusal(reason: str) -> bytes:
    body = json.dumps({"error": f"the inference engine is not available: {reason}"}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
