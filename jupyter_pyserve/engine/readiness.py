"""Asking models whether they are ready: those that define `is_ready`, over a socket of each stub's own.

Whoever asks while a question is open waits for its answer. Knows nothing of who asks, or why.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pyserve_stub.readiness import READY

if TYPE_CHECKING:
    from jupyter_pyserve.engine.versions.loaded import LoadedVersion

_log = logging.getLogger(__name__)

LIMIT_S: Final = 5.0
_MAX_ANSWER_NBYTES: Final = 32 * 1024

Tell = Callable[[dict[str, Any], Sequence[int]], None]


class Readiness:
    """One stub's own opinion. `tell` hands its end of the socket to the stub."""

    def __init__(self, tell: Tell, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._asked: asyncio.Future[str] | None = None
        self._loop = asyncio.get_running_loop()
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._sock.setblocking(False)
        with theirs:
            tell({"op": "readiness"}, (theirs.fileno(),))
        self._loop.add_reader(self._sock, self._readable)
        #: What the last answer was: reasons are told once, however often somebody asks.
        self.reason = ""

    async def ask(self) -> str:
        """Why the model is not ready; empty when it is. The question stays open when the answer takes too long."""
        asked, what = self._asked, "in-flight is_ready()"
        if asked is None:
            asked = self._asked = self._loop.create_future()
            what = "user-defined is_ready()"
            self._send()
        try:
            return await asyncio.wait_for(asyncio.shield(asked), self._limit_s)
        except asyncio.TimeoutError:
            return f"Timed out waiting for {what} response"

    def _send(self) -> None:
        try:
            self._sock.send(b"?")
        except OSError:
            self.close()

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_MAX_ANSWER_NBYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        else:
            self._answer("" if data[:1] == READY else data[1:].decode("utf-8", "replace") or "no reason was given")

    def _answer(self, reason: str) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked.done():
            asked.set_result(reason)

    def close(self) -> None:
        """The stub has ended, although processes that it forked may have its end of the socket open."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
        self._answer("its process has ended")


def is_asked(version: LoadedVersion) -> bool:
    """Whether a model has something to say about its readiness."""
    return any(instance.readiness is not None for instance in version.instances)


async def agrees(version: LoadedVersion) -> bool:
    """Whether every instance that has an opinion says that it is ready; one that is debugged may not get to say it."""
    instances = [
        item for item in version.instances if item.alive and item.readiness is not None and not item.debug_port
    ]
    reasons = await asyncio.gather(*(item.readiness.ask() for item in instances if item.readiness is not None))
    for instance, reason in zip(instances, reasons):
        readiness = instance.readiness
        if readiness is not None and reason != readiness.reason:
            readiness.reason = reason
            if reason:
                instance.report(f"{instance.name}: {reason}")
        if reason:
            _log.debug("Model '%s' version %d is not ready: %s", version.name, version.version, reason)
    return not any(reasons)
