"""The event stream over a WebSocket: a message for each line of the engine's answer, for as long as both sides want.

Whoever opens one has passed the same checks as for any request, in the same place. A client that pauses, or is gone,
has no connection to the engine at all, so that nothing is sampled for nobody. Nothing of it counts as activity.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from jupyter_pyserve.transports.jupyter.handlers import EngineProxyHandler
from jupyter_pyserve.transports.jupyter.headers import framing
from jupyter_pyserve.transports.jupyter.proxy import EngineGoneError, Exchange
from jupyter_pyserve.transports.jupyter.supervisor import EngineUnavailableError

#: What a client may say is short, and so is the longest line that is waited for.
_MESSAGE_NBYTES = 1024
_LINE_NBYTES = 64 << 20

#: Why a connection ends, RFC 6455 section 7.4.1: what the client said makes no sense, or the engine is gone.
_POLICY, _ENGINE_GONE = 1008, 1012


class EventsHandler(WebSocketMixin, WebSocketHandler, EngineProxyHandler):
    """`api/events`: relayed like everything else, or as messages when the client asks for a WebSocket."""

    takes_upgrades = True

    _relay_task: asyncio.Task[None] | None = None
    _interval_s: float | None = None

    @property
    def max_message_size(self) -> int:
        return _MESSAGE_NBYTES

    async def prepare(self) -> None:  # type: ignore[override]
        await EngineProxyHandler.prepare(self)

    @ws_authenticated
    async def get(self) -> None:
        """`prepare` has authenticated and authorised; a page of another origin gets no further than here."""
        if self.wants_upgrade:
            await WebSocketHandler.get(self)
        else:
            await self._answer()

    def open(self, *args: str, **kwargs: str) -> Awaitable[None] | None:
        opened: Awaitable[None] | None = super().open(*args, **kwargs)
        self._begin()
        return opened

    def on_message(self, message: str | bytes) -> None:
        """`{"interval_s": 2}`, `{"pause": true}` or both; anything else ends the connection."""
        wish = _wish(message)
        if wish is None:
            self.close(_POLICY, "expected a JSON object with interval_s or pause")
            return
        paused, interval_s = wish.get("pause"), wish.get("interval_s")
        if interval_s is not None and interval_s != self._interval_s:
            self._interval_s = interval_s
            if paused is None and self._relay_task is not None:
                self._begin()
        if paused is True:
            self._end()
        elif paused is False and self._relay_task is None:
            self._begin()

    def on_close(self) -> None:
        super().on_close()
        self._end()

    def on_connection_close(self) -> None:
        (WebSocketHandler if self.wants_upgrade else EngineProxyHandler).on_connection_close(self)

    def _begin(self) -> None:
        self._end()
        self._relay_task = asyncio.get_running_loop().create_task(self._relay_lines())

    def _end(self) -> None:
        task, self._relay_task = self._relay_task, None
        if task is not None:
            task.cancel()

    async def _relay_lines(self) -> None:
        """Sends what the engine says, no faster than the client takes it; says so when the engine is gone."""
        try:
            exchange = await Exchange.open(
                await self._engine.ready(), method="GET", target=self._target(), headers=(), body=framing(())
            )
            with contextlib.closing(exchange):
                status = (await exchange.head()).status
                if status != 200:
                    raise EngineGoneError(f"the inference engine refused with status {status}")
                async for line in _lines(exchange.body()):
                    await self.write_message(line)
            raise EngineGoneError("the inference engine ended the stream")
        except (EngineUnavailableError, EngineGoneError) as error:
            self.log.info("pyserve: %s", error)
            self.close(_ENGINE_GONE, "the inference engine is gone")
        except WebSocketClosedError:
            pass  # which `on_close` hears of too

    def _target(self) -> str:
        """What was asked for in the beginning, with the interval that was asked for last."""
        if self._interval_s is None:
            return self.engine_target
        path, _, query = self.engine_target.partition("?")
        kept = [pair for pair in query.split("&") if pair and not pair.startswith("interval_s=")]
        return f"{path}?{'&'.join([*kept, f'interval_s={self._interval_s}'])}"


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest: list[bytes] = []
    async for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            rest.append(line)
            yield b"".join(rest).decode("utf-8", "replace")
            rest = []
        rest.append(last)
        if sum(map(len, rest)) > _LINE_NBYTES:
            raise EngineGoneError("the inference engine sent a line without an end")


def _wish(message: str | bytes) -> dict[str, Any] | None:
    """What a client wants, if that makes sense."""
    with contextlib.suppress(ValueError, RecursionError):
        wish = json.loads(message)
        if isinstance(wish, dict) and wish and _is_sensible(wish.get("pause"), wish.get("interval_s")):
            return wish if set(wish) <= {"pause", "interval_s"} else None
    return None


def _is_sensible(pause: object, interval_s: object) -> bool:
    if pause is not None and not isinstance(pause, bool):
        return False
    if interval_s is None:
        return True
    return isinstance(interval_s, int | float) and not isinstance(interval_s, bool) and 0 < interval_s < math.inf
