"""Waiting on a lane's socket, from several threads and event loops at once: whoever waits reads for all.

Owns the socket and who reads it. What a frame means is its user's.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.spin import Spinner

LATE = "the model did not answer in time"


class Awaited(Protocol):
    """What can be waited for."""

    @property
    def done(self) -> bool:
        """Whether it is there."""


class Pending:
    """Something that was asked and is not answered yet."""

    __slots__ = ("_answer", "_error", "_future", "done", "key")

    def __init__(self, key: int, future: asyncio.Future[Any] | None = None) -> None:
        self.key = key
        self.done = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self._future = future

    def settle(self, answer: Any, error: BaseException | None = None) -> None:
        """It is answered, or will never be."""
        if self.done:
            return
        self._answer, self._error = answer, error
        self.done = True
        if self._future is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._future.get_loop().call_soon_threadsafe(self._tell)

    def add(self, answer: Any, error: BaseException | None = None, *, final: bool) -> None:
        """As `settle`, for what has one answer."""
        self.settle(answer, error)

    def result(self) -> Any:
        """The answer, or the error raised."""
        if self._error is not None:
            raise self._error
        return self._answer

    def _tell(self) -> None:
        future = self._future
        if future is None or future.done():
            return
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result(self._answer)


class Mailbox:
    """One sequenced-packet socket; `on_frame` gets what comes, `on_end` the reason when nothing will come any more."""

    def __init__(
        self,
        sock: socket.socket,
        on_frame: Callable[[bytes, Sequence[int]], None],
        on_end: Callable[[OSError], None],
    ) -> None:
        self._sock = sock
        self._on_frame = on_frame
        self._on_end = on_end
        self._spinner = Spinner(sock)
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)
        self._reading = threading.Lock()
        self._turn = threading.Condition(threading.Lock())
        self._waiting = 0
        self._watched: dict[asyncio.AbstractEventLoop, int] = {}
        self.closed = False

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send one frame; any thread may. A BrokenPipeError where it has not left, because nobody is there any more."""
        if self.closed:
            raise BrokenPipeError("the lane is closed")
        try:
            send_packet(self._sock, data, fds)
        except ConnectionResetError as error:  # said once, by an engine that ended with something unread
            raise BrokenPipeError(*error.args) from error

    @property
    def ended(self) -> bool:
        """Whether nobody is at the other end any more."""
        return self.closed or any(event & (select.POLLHUP | select.POLLERR) for _, event in self._poller.poll(0))

    def wait(self, pending: Awaited, timeout_s: float | None = None) -> None:
        """Until `pending` is settled: by reading the socket, or by the thread that reads it already."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not pending.done:
            if self._reading.acquire(blocking=False):
                try:
                    self._read_until(pending, deadline_s)
                finally:
                    self._pass_on()
            else:
                with self._turn:
                    self._waiting += 1
                    self._turn.wait_for(lambda: pending.done or not self._reading.locked(), _left(deadline_s))
                    self._waiting -= 1
                if deadline_s is not None and time.monotonic() >= deadline_s and not self._is_done(pending):
                    raise TimeoutError(LATE)

    def _read_until(self, pending: Awaited, deadline_s: float | None) -> None:
        while not pending.done:
            self._read(_left(deadline_s))

    @staticmethod
    def _is_done(pending: Awaited) -> bool:
        return pending.done

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let `loop` read, for one more future."""
        count = self._watched.get(loop, 0)
        self._watched[loop] = count + 1
        if count == 0:
            loop.add_reader(self._sock.fileno(), self._on_readable)

    def unwatch(self, loop: asyncio.AbstractEventLoop) -> None:
        """A future of `loop` is done."""
        count = self._watched.pop(loop, 1) - 1
        if count:
            self._watched[loop] = count
        elif not self.closed:
            loop.remove_reader(self._sock.fileno())

    def close(self, *, ours: bool = True) -> None:
        """Close the socket; one that is not `ours` goes on where it was opened, by a process that this is a fork of."""
        if self.closed:
            return
        self.closed = True
        for loop in list(self._watched) if ours else ():  # a fork shares the loop's selector, too
            with contextlib.suppress(RuntimeError):
                loop.remove_reader(self._sock.fileno())
        with contextlib.suppress(OSError):
            if ours:
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, and tells the engine at once
        self._sock.close()

    def _pass_on(self) -> None:
        self._reading.release()
        with self._turn:
            self._turn.notify_all()

    def _on_readable(self) -> None:
        if not self._reading.acquire(blocking=False):
            return  # a thread reads, and settles what it finds
        try:
            while not self.closed:
                self._read(None, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        finally:
            self._pass_on()

    def _receive(self) -> tuple[bytes, list[int]]:
        """The next frame, waited for awake at first if it is likely to come soon."""
        if self._spinner.ready():
            return receive_packet(self._sock)
        began_ns = time.monotonic_ns()
        frame = receive_packet(self._sock)
        self._spinner.slept(time.monotonic_ns() - began_ns)
        return frame

    def _read(self, timeout_s: float | None, flags: int = 0) -> None:
        try:
            # Not the socket's own timeout: it would hold for other threads' sends as well.
            if timeout_s is not None and not self._poller.poll(timeout_s * 1000):
                raise TimeoutError(LATE)
            data, fds = self._receive() if not flags else receive_packet(self._sock, flags)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            self.close()
            self._on_end(error)
            return
        if data:
            self._on_frame(data, fds)
            if self._waiting:  # it may have been another thread's answer
                with self._turn:
                    self._turn.notify_all()
        else:
            self.close()
            self._on_end(ConnectionError("the engine is gone"))


def _left(deadline_s: float | None) -> float | None:
    return None if deadline_s is None else max(0.001, deadline_s - time.monotonic())
