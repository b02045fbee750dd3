"""The engine's end of a sequenced-packet socket: frames in by callback, frames out without waiting.

Knows packets and descriptors, not what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.spin import Spinner

_log = logging.getLogger(__name__)

#: Frames taken in at one go, so that one busy peer does not starve the others.
_BURST = 32

#: Frames that are taken in at one go where everything is wanted that has been sent.
_ALL = 4096

#: What may wait for a peer that does not read; one that lets more pile up is let go. One that reads slowly is no such
#: peer: who takes its time over the responses of a stream has as many before it as their model may be ahead.
_MAX_QUEUED_NBYTES = 64 << 20
_FRAME_NBYTES = 256
_DESCRIPTOR_NBYTES = 1 << 16

OnFrame = Callable[[bytes, list[int]], None]


class Channel:
    """One peer. `on_close` is called once, when the peer is gone or `close` was called.

    `expecting` says whether more frames may be there already; when it says no, none is looked for in vain.
    """

    __slots__ = (
        "_expected_ns",
        "_expecting",
        "_loop",
        "_on_close",
        "_on_frame",
        "_poll",
        "_queue",
        "_queued_nbytes",
        "_spinner",
        "closed",
        "sock",
    )

    def __init__(
        self,
        sock: socket.socket,
        on_frame: OnFrame,
        on_close: Callable[[], None],
        expecting: Callable[[], object] = lambda: True,
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self._loop = asyncio.get_running_loop()
        self._on_frame = on_frame
        self._on_close = on_close
        self._expecting = expecting
        self._expected_ns = 0
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._queued_nbytes = 0
        self._spinner = Spinner(sock)
        poller = select.poll()
        poller.register(sock, 0)
        self._poll = poller.poll
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send one frame; to a peer that is gone it is dropped, since `on_close` says what has to be known.

        That is never called in here: whoever sends is in the middle of something.
        """
        if self.closed:
            return
        if self._queue:
            if self._queued_nbytes >= _MAX_QUEUED_NBYTES:
                self._loop.call_soon(self.close)  # it sends and never reads
            else:
                self._wait(data, fds)
            return
        try:
            send_packet(self.sock, data, fds)
        except BlockingIOError:
            self._wait(data, fds)
            self._loop.add_writer(self.sock.fileno(), self._writable)
        except OSError as error:
            self._not_sent(error)

    def _wait(self, data: bytes, fds: Sequence[int]) -> None:
        self._queue.append((data, [os.dup(fd) for fd in fds]))
        self._queued_nbytes += _weight(data, fds)

    def _not_sent(self, error: OSError) -> None:
        if not isinstance(error, (BrokenPipeError, ConnectionResetError)):
            _log.error("a frame could not be sent, so its channel is closed", exc_info=error)
            self._loop.call_soon(self.close)
        else:
            self._loop.call_soon(self.catch_up)  # the peer is gone; what it sent before that is still to be read

    def catch_up(self) -> None:
        """Take in every frame that the peer has sent by now."""
        self._take(_ALL, lambda: True)

    def linger(self) -> None:
        """At the end of this turn, wait awake for a frame that is likely to come at once; everything else waits too."""
        self._loop.call_soon(self._linger)

    def _linger(self) -> None:
        if not self.closed and self._expecting() and self._spinner.spin():
            self._readable()

    def expect(self) -> None:
        """A frame may come soon: `linger`, if one came as soon the last time."""
        self._expected_ns = time.monotonic_ns()
        if self._spinner.worthwhile:
            self._loop.call_soon(self._linger_again)

    def _linger_again(self) -> None:
        if self._expected_ns and not self.closed and self._spinner.ready():
            self._readable()

    def close(self) -> None:
        """Stop at once."""
        if self.closed:
            return
        self.closed = True
        fd = self.sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self.sock.close()
        while self._queue:
            _close_all(self._queue.popleft()[1])
        self._on_close()

    def gone(self) -> object:
        """Whether the peer is gone, though what it sent before that may not be read.

        Of one that had not read everything itself a loop may tell only once, whatever is left to be read then.
        """
        return self._poll(0)

    def _readable(self) -> None:
        if self._take(_BURST, self._expecting):
            self._loop.call_soon(self._readable)

    def _take(self, count: int, expecting: Callable[[], object]) -> bool:
        """Whether there may be as many again."""
        for _ in range(count):
            if self.closed:
                return False
            try:
                data, fds = receive_packet(self.sock)
            except BlockingIOError:
                return False
            except ConnectionResetError:  # said once, before what it has sent: it left something unread
                continue
            except OSError:
                data, fds = b"", []
            if not data:
                self.close()
                return False
            if self._expected_ns:
                self._spinner.slept(time.monotonic_ns() - self._expected_ns)
                self._expected_ns = 0
            self._on_frame(data, fds)
            if not expecting():
                return False
        return True

    def _writable(self) -> None:
        while self._queue:
            data, fds = self._queue[0]
            try:
                send_packet(self.sock, data, fds)
            except BlockingIOError:
                return
            except OSError as error:
                self._not_sent(error)
            _close_all(fds)
            self._queue.popleft()
            self._queued_nbytes -= _weight(data, fds)
        self._loop.remove_writer(self.sock.fileno())


def _weight(data: bytes, fds: Sequence[int]) -> int:
    return _FRAME_NBYTES + len(data) + len(fds) * _DESCRIPTOR_NBYTES


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
