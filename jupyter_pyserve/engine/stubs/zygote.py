"""The engine's side of the zygote: it starts it, asks it for stubs, and hears from it which of them ended.

Knows nothing of models: a stub is a title and four descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyserve_stub.process import TITLE_ROOM
from pyserve_stub.wire import frames

from jupyter_pyserve.engine.stubs.channel import Channel
from jupyter_pyserve.errors import Code, PyServeError

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 60.0


class Zygote:
    """Starts stubs; started again by itself when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._ready: asyncio.Future[None] | None = None
        self._spawning: dict[int, tuple[asyncio.Future[int], Callable[[int], None]]] = {}
        self._exits: dict[int, Callable[[int], None]] = {}
        self._next_id = 0
        self.closing = False

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process and wait until it can fork; does nothing when it runs."""
        if self._ready is None:
            self._launch()
            self._ready = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(asyncio.shield(self._ready), _START_TIMEOUT_S)

    async def spawn(
        self,
        title: Sequence[str],
        fds: Sequence[int],
        on_exit: Callable[[int], None],
        order: Mapping[str, Any] | None = None,
        *,
        place: Mapping[str, Any] | None = None,
    ) -> int:
        """Fork a stub; its process id. `on_exit` gets its wait status when it ends.

        With an `order` it runs another interpreter, at a `place` only on some processors (see `pyserve_stub.birth`).
        """
        await self.start()
        self._next_id += 1
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._spawning[self._next_id] = future, on_exit
        assert self._channel is not None
        note = {"op": "spawn", "id": self._next_id, "title": list(title), "order": order, "place": place}
        self._channel.send(frames.encode_cold(frames.NOTE, note), fds)
        return await asyncio.wait_for(future, _START_TIMEOUT_S)

    async def close(self, timeout_s: float) -> None:
        """Let it go: it ends by itself once its stubs have."""
        self.closing = True
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            process = self._process
            try:
                await asyncio.to_thread(process.wait, timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        """End it, and with it every stub, at once."""
        self.closing = True
        if self._process is not None:
            self._process.kill()

    def _launch(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        environment.pop("PYSERVE_TOKEN", None)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pyserve_stub.zygote", str(theirs.fileno()), TITLE_ROOM],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._channel = Channel(ours, self._on_frame, self._on_close)

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        message = frames.decode_cold(data)
        if message["op"] == "ready" and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)
        elif message["op"] == "spawned":
            future, on_exit = self._spawning.pop(message["id"])
            self._exits[message["pid"]] = on_exit  # now, since its end may be the very next message
            if not future.done():
                future.set_result(message["pid"])
        elif message["op"] == "failed":
            future, _ = self._spawning.pop(message["id"])
            if not future.done():
                text = f"the process of a model instance could not be started: {message['text']}"
                future.set_exception(PyServeError(Code.UNAVAILABLE, text))
        elif message["op"] == "exited":
            self._exits.pop(message["pid"])(message["status"])

    def _on_close(self) -> None:
        failed = PyServeError(Code.UNAVAILABLE, "the process that starts model instances ended")
        waiting = [future for future, _ in self._spawning.values() if not future.done()]
        if self._ready is not None and not self._ready.done():
            waiting.append(self._ready)  # type: ignore[arg-type]
        for future in waiting:
            future.set_exception(failed)
        self._spawning.clear()
        self._ready = None
        for on_exit in list(self._exits.values()):
            on_exit(-1)
        self._exits.clear()
        if not self.closing:
            _log.error("the zygote ended; it is started again when needed")
            if self._process is not None:
                self._process.poll()
