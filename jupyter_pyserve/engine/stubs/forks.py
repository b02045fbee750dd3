"""Processes that stubs fork: no stubs themselves, but their models' code calls other models from there too.

Each has a channel and an arena of its own; what it asks counts as asked by the stub, with which it ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.stubs.attachments import Attachments
from jupyter_pyserve.engine.stubs.callbacks import StubCall, StubServices
from jupyter_pyserve.engine.stubs.channel import Channel
from jupyter_pyserve.engine.stubs.responses import ResponseArena

if TYPE_CHECKING:
    from jupyter_pyserve.engine.job import Job
    from jupyter_pyserve.engine.memory.arena import Segment
    from jupyter_pyserve.engine.stubs.instance import Instance

#: More than pools of workers have; a model that forks without end must not take all descriptors.
MAX_FORKS = 128


def channel_of(fd: int) -> socket.socket | None:
    """The socket that a forked process has handed over; None, and closed, if it is something else."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.close(fd)
        return None
    if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_SEQPACKET:
        return sock
    sock.close()
    return None


class Fork:
    """One forked process, as far as it asks something."""

    def __init__(
        self,
        parent: Instance,
        sock: socket.socket,
        services: StubServices,
        take: Callable[[Fork, bytes], None],
        on_end: Callable[[Fork], None],
    ) -> None:
        self.model = parent.model
        self.parent = parent
        self.calls_others = True
        self.alive = True
        self.waits_for: dict[int, Job] = {}
        self.responses = ResponseArena(parent.responses.limit, self._tell_released)
        self._attachments = Attachments(self._note)
        self.detach = self._attachments.drop
        self._services = services
        self._take = take
        self._on_end = on_end
        self._channel = Channel(sock, self._on_frame, self._on_close)

    @property
    def segments(self) -> dict[int, Segment]:
        """The memory that it allocates in."""
        return self.responses.segments

    def attach(self, segments: Sequence[Segment]) -> None:
        """Hand over memory in which answers lie."""
        for segment in segments:
            if segment.id not in self.segments:
                self._attachments.add(segment)

    def holding(self, key: int) -> Job | None:
        """It has no requests."""
        return None

    def release(self, descriptors: Sequence[PlainDescriptor]) -> None:
        """Nobody reads these inputs any more."""
        if self.alive:
            self.responses.release(descriptors)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Send a frame."""
        self._channel.send(data, fds)

    def expect(self) -> None:
        """It has been told something; that is seldom worth waiting for."""

    def close(self) -> None:
        """Hear it no more."""
        self._channel.close()

    def _tell_released(self, leases: Sequence[int]) -> None:
        self.send(frames.encode_keys(frames.RELEASE, leases))

    def _note(self, note: dict[str, Any], fds: Sequence[int]) -> None:
        self.send(frames.encode_cold(frames.NOTE, note), fds)

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        try:
            if data[0] in (frames.INFER, frames.RETURN, frames.CANCEL):
                self._take(self, data)
            elif data[0] == frames.NOTE:
                note = frames.decode_cold(data)
                if note["op"] != "log":
                    raise WireError(f"unknown note {note['op']}")
                self.parent.take_note(note)
            elif data[0] == frames.CALL:
                message = frames.decode_cold(data)
                call = StubCall(self.parent, message, self.send)
                (self.responses.grow if message["op"] == "grow" else self._services.call)(call)
            else:
                raise WireError(f"unknown frame {data[0]}")
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            self.parent.report(f"a forked process is not heard any more: it broke the protocol ({error})")
            self._channel.close()

    def _on_close(self) -> None:
        self.alive = False
        self._on_end(self)
        self.responses.close()
