"""Questions to a stub and their answers: each is waited for under its own number, and all end when the stub does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pyserve_stub.wire import frames

from jupyter_pyserve.engine.stubs.faults import StubDied, StubFault


class Calls:
    """What one stub was asked and has not answered yet."""

    __slots__ = ("_ended", "_last_id", "_send", "_waiting")

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ended = False

    async def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Ask and wait; raises `StubFault` with the model's error, and `StubDied`."""
        if self._ended:
            raise StubDied
        self._last_id += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = future
        self._send(frames.encode_cold(frames.CALL, {"id": self._last_id, "op": op, **arguments}))
        reply = await future
        if self._ended:  # its last words and its end came in one go
            raise StubDied
        if not reply.get("ok"):
            raise StubFault(reply)
        return reply

    def answered(self, reply: dict[str, Any]) -> None:
        """A reply has come; one that nobody waits for any more is dropped."""
        future = self._waiting.pop(reply.get("id", 0), None)
        if future is not None and not future.done():
            future.set_result(reply)

    def end(self) -> None:
        """The stub is gone."""
        self._ended = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(StubDied())
                future.exception()  # whoever waits gets it; if nobody does, that is no error
        self._waiting.clear()
