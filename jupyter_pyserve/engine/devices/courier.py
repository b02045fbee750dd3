"""The engine's side of the courier: the process that opens regions on GPUs, and copies from and to them.

There is one only while regions are registered. When it ends, what it was copying fails, and its successor opens anew
what is used. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pyserve_stub.process import TITLE_ROOM
from pyserve_stub.wire import frames

from jupyter_pyserve.engine.memory.arena import Segment
from jupyter_pyserve.engine.memory.region import CudaRegion
from jupyter_pyserve.engine.memory.regions import Done
from jupyter_pyserve.engine.stubs.channel import Channel

_log = logging.getLogger(__name__)

#: How long it stays when no region is left: starting it, and with it a device, takes longer than a request.
_LINGER_S = 2.0
_REAP_S = 5.0

#: Orders that the process has at a time. Others wait here, where none of them takes a descriptor.
_AT_ONCE = 64

_ENDED = "the process that copies device memory ended"


def launch() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the process; our end of its channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    environment.pop("PYSERVE_TOKEN", None)
    with theirs:
        words = [str(theirs.fileno()), str(os.getpid()), TITLE_ROOM]
        process = subprocess.Popen(
            [sys.executable, "-m", "pyserve_stub.courier", *words],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    return ours, process


class _Order(NamedTuple):
    """What the process is to do; `host` is pinned while it waits for its turn."""

    done: Done
    arguments: dict[str, Any]
    host: Segment | None


class Courier:
    """Copies between regions and host memory; `start` makes the process."""

    def __init__(self, start: Callable[[], tuple[socket.socket, subprocess.Popen[bytes]]] = launch) -> None:
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._orders = 0
        self._waiting: dict[int, Done] = {}
        self._queue: deque[_Order] = deque()
        #: Regions that are registered, and of these those that the process of now has been told to open.
        self._regions: set[int] = set()
        self._opened: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None else None

    # -- regions ------------------------------------------------------------------------------------------------------

    async def open(self, region: CudaRegion) -> bool:
        """Whether a region is what it is said to be; then it can be copied from and to."""
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._regions.add(region.id)
        self._open(region, functools.partial(_settle, answered))
        try:
            failure = await answered
        except asyncio.CancelledError:
            self.close(region)
            raise
        if failure is not None:
            _log.error("%s", failure)
            self._forget(region)
            if not self._regions:
                self._stop()
        return failure is None

    def close(self, region: CudaRegion) -> Awaitable[object]:
        """Nothing will be copied from or to a region any more; when it is over, its client may free it."""
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if region.id in self._opened:
            self._order(functools.partial(_settle, answered), "close", region=region.id)
        else:
            answered.set_result(None)
        self._forget(region)
        return answered

    def _open(self, region: CudaRegion, done: Done) -> None:
        self._opened.add(region.id)
        told: dict[str, Any] = {"device": region.device, "handle": region.handle.hex(), "nbytes": region.length}

        def opened(failure: str | None) -> None:
            if failure is not None and self._channel is None:
                self._opened.discard(region.id)  # there is no process that has been told
            done(failure)

        self._order(opened, "open", region=region.id, **told)

    def _forget(self, region: CudaRegion) -> None:
        self._regions.discard(region.id)
        self._opened.discard(region.id)
        if not self._regions and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER_S, self._look_whether_needed)

    # -- copies -------------------------------------------------------------------------------------------------------

    def fetch(self, region: CudaRegion, at: int, nbytes: int, to: tuple[Segment, int], done: Done) -> None:
        """Copy bytes from a region to host memory."""
        self._copy("fetch", region, at, nbytes, to, done)

    def store(self, region: CudaRegion, at: int, nbytes: int, source: tuple[Segment, int], done: Done) -> None:
        """Copy bytes from host memory to a region."""
        self._copy("store", region, at, nbytes, source, done)

    def _copy(self, op: str, region: CudaRegion, at: int, nbytes: int, host: tuple[Segment, int], done: Done) -> None:
        segment, offset = host
        if segment.fd < 0:
            done("the memory of a tensor is not there")
            return
        if region.id not in self._opened:  # by a predecessor only; if it cannot be opened now, the copy says so
            self._open(region, _note_failure)
        self._order(done, op, segment, region=region.id, at=at, nbytes=nbytes, offset=offset)

    # -- the process --------------------------------------------------------------------------------------------------

    def _order(self, done: Done, op: str, host: Segment | None = None, **arguments: Any) -> None:
        order = _Order(done, {"op": op, **arguments}, host)
        if self._queue or len(self._waiting) >= _AT_ONCE:
            if host is not None:
                host.pin()
            self._queue.append(order)
        else:
            self._send(order)

    def _send(self, order: _Order) -> None:
        if self._channel is None:
            try:
                ours, self._process = self._start()
            except OSError as error:
                order.done(f"the process that copies device memory cannot be started: {error}")
                return
            self._channel = Channel(ours, self._on_frame, self._on_close)
        self._orders += 1
        self._waiting[self._orders] = order.done
        fds = (order.host.fd,) if order.host is not None else ()
        self._channel.send(frames.encode_cold(frames.CALL, {"id": self._orders, **order.arguments}), fds)

    def _send_next(self) -> None:
        if self._queue and len(self._waiting) < _AT_ONCE:
            order = self._queue.popleft()
            self._send(order)
            if order.host is not None:
                order.host.unpin()

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        reply = frames.decode_cold(data)
        done = self._waiting.pop(reply["id"], None)
        if done is not None:
            done(reply["error"])
        if reply["broken"] and self._channel is not None:
            self._channel.close()
        self._send_next()

    def _on_close(self) -> None:
        waiting, self._waiting = self._waiting, {}
        queue, self._queue = self._queue, deque()
        self._channel = None
        self._opened.clear()
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # a device that does not answer would keep it
            asyncio.get_running_loop().run_in_executor(None, _reap, process)
        for done in waiting.values():
            done(_ENDED)
        for order in queue:
            order.done(_ENDED)
            if order.host is not None:
                order.host.unpin()

    def _look_whether_needed(self) -> None:
        self._timer = None
        if not self._regions:
            self._stop()

    def _stop(self) -> None:
        if self._channel is not None:
            self._channel.close()

    def end(self) -> None:
        """No region is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stop()


def _reap(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_S)


def _settle(answered: asyncio.Future[str | None], failure: str | None) -> None:
    if not answered.done():
        answered.set_result(failure)


def _note_failure(failure: str | None) -> None:
    if failure is not None:
        _log.error("%s", failure)
