"""Keeping a connection alive and keeping it from being abused for that: pings both ways, and its greatest age.

The meaning of each setting is gRPC's. Tells the connection what to do and decides nothing else.
"""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

from jupyter_pyserve.settings import KeepaliveSettings

#: Pings of a client that has no call are suspicious much earlier than others.
_IDLE_PING_INTERVAL_S = 7200.0


class Peer(Protocol):
    """The connection."""

    @property
    def busy(self) -> bool: ...

    def ping(self) -> None: ...

    def shutdown(self) -> None: ...

    def abort(self) -> None: ...


class Keepalive:
    """The clock of one connection."""

    __slots__ = ("_age", "_heard_s", "_last_ping_s", "_loop", "_peer", "_settings", "_strikes", "_timer")

    def __init__(self, settings: KeepaliveSettings, peer: Peer) -> None:
        self._settings = settings
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._loop.time()
        self._last_ping_s: float | None = None
        self._strikes = 0
        self._timer = self._loop.call_later(settings.time_s, self._look)
        self._age: asyncio.TimerHandle | None = None
        if settings.max_connection_age_s is not None:
            # A tenth more or less, so that connections made together do not come back together.
            age_s = settings.max_connection_age_s * random.uniform(0.9, 1.1)  # noqa: S311
            self._age = self._loop.call_later(age_s, self._grow_old)

    def heard(self) -> None:
        """Something has come."""
        self._heard_s = self._loop.time()

    def spoke(self) -> None:
        """Part of an answer was sent: the client has a reason to ask whether we are there."""
        self._last_ping_s = None
        self._strikes = 0

    def pinged(self) -> bool:
        """The client asks; whether it does so too often."""
        now_s, last_s = self._loop.time(), self._last_ping_s
        self._last_ping_s = now_s
        settings = self._settings
        idle = not settings.permit_without_calls and not self._peer.busy
        interval_s = _IDLE_PING_INTERVAL_S if idle else settings.min_recv_ping_interval_s
        if last_s is None or now_s - last_s >= interval_s:
            return False
        self._strikes += 1
        return 0 < settings.max_ping_strikes < self._strikes

    def acknowledged(self) -> None:
        """The client is there: what came has been noticed already."""

    def stop(self) -> None:
        """The connection is closed."""
        self._timer.cancel()
        if self._age is not None:
            self._age.cancel()

    def _look(self) -> None:
        settings = self._settings
        left_s = self._heard_s + settings.time_s - self._loop.time()
        if left_s <= 0 and (self._peer.busy or settings.permit_without_calls):
            asked_s = self._loop.time()
            self._peer.ping()
            self._timer = self._loop.call_later(settings.timeout_s, self._look_for_answer, asked_s)
        else:
            self._timer = self._loop.call_later(left_s if left_s > 0 else settings.time_s, self._look)

    def _look_for_answer(self, asked_s: float) -> None:
        if self._heard_s < asked_s:
            self._peer.abort()
        else:
            self._timer = self._loop.call_later(self._settings.time_s, self._look)

    def _grow_old(self) -> None:
        self._peer.shutdown()
        grace_s = self._settings.max_connection_age_grace_s
        if grace_s is not None:
            self._age = self._loop.call_later(grace_s, self._peer.abort)
