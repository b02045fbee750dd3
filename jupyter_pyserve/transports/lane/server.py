"""The engine's side of lanes: a Unix socket of sequenced packets, one connection a process, descriptors only.

A lane's memory is made here and allocated by the client; what a client says about it is checked against our own table.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any

from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.engine.memory.arena import Segment, segment_size
from jupyter_pyserve.engine.peers.peer import Peer, Place
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.engine.stubs.channel import Channel
from jupyter_pyserve.errors import PyServeError

_log = logging.getLogger(__name__)

#: How long nobody is accepted when there are no descriptors left.
_ACCEPT_AGAIN_S = 0.2


class LaneServer:
    """Accepts lanes of the same user."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock
        self._lanes: set[LaneConnection] = set()
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._accept)

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is asked be answered, and let all clients go."""
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(lane.idle() for lane in self._lanes)), timeout_s)
        for lane in list(self._lanes):
            lane.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptors left: the client waits, and we don't spin
            self._pause()
            return
        if peer_of(sock)[1] != os.getuid():
            sock.close()
            return
        self._lanes.add(LaneConnection(self._service, sock, self._lanes.discard))

    def _pause(self) -> None:
        loop, fd = asyncio.get_running_loop(), self._sock.fileno()
        loop.remove_reader(fd)
        loop.call_later(_ACCEPT_AGAIN_S, lambda: self._sock.fileno() < 0 or loop.add_reader(fd, self._accept))


def peer_of(sock: socket.socket) -> tuple[int, int, int]:
    """Process, user and group at the other end."""
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return pid, uid, gid


class LaneConnection(Peer):
    """One client process, and the memory that was made for it."""

    def __init__(self, service: Service, sock: socket.socket, on_close: Any) -> None:
        super().__init__(service)
        self._on_closed = on_close
        self._limit = service.settings.arena_limit_nbytes
        self._pid = peer_of(sock)[0]
        self._own: dict[int, Segment] = {}
        self._sent: dict[int, Segment] = {}
        # One frame at a turn: looking for a second, which is seldom there, costs as much as reading the first.
        self._channel = Channel(sock, self._on_frame, self._on_close, lambda: self._channel.gone())

    def close(self) -> None:
        """Let the client go."""
        self._channel.close()

    def _on_frame(self, data: bytes, fds: list[int]) -> None:
        try:
            if data[0] == frames.CALL:
                self._on_call(frames.decode_cold(data), fds)
            else:
                self.take(data)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            _log.warning("a lane is closed: it broke the protocol (%s)", error)
            self._channel.close()
        finally:
            for fd in fds:
                os.close(fd)

    def _on_call(self, call: dict[str, Any], received: list[int]) -> None:
        reply: dict[str, Any] = {"id": int(call["id"]), "ok": True}
        fds: list[int] = []
        if call["op"] == "hello":
            if call.get("magic") != frames.MAGIC or call.get("version") != frames.VERSION:
                reply = {**reply, "ok": False, "error": f"this engine speaks version {frames.VERSION} of the lane"}
        elif call["op"] == "grow":
            nbytes = int(call["nbytes"])
            size = segment_size(nbytes + 64, sum(item.nbytes for item in self._own.values()), self._limit)
            try:
                segment = Segment(size, "pyserve-lane", of_client=True) if size is not None and nbytes >= 0 else None
            except MemoryError as error:
                _log.error("%s", error)
                segment = None
            if segment is None:
                reply = {**reply, "ok": False, "error": f"a lane may have at most {self._limit} bytes"}
            else:
                self._own[segment.id] = segment
                reply["segments"] = [segment.announce(writable=True, arena="lane")]
                fds = [segment.fd]
        elif call["op"] in ("share", "unshare"):
            try:
                self._share(call, received)
            except PyServeError as error:
                reply = {**reply, "ok": False, "error": error.message, "code": int(error.code)}
        else:
            raise WireError(f"unknown call {call['op']}")
        self._channel.send(frames.encode_cold(frames.REPLY, reply), fds)

    def _share(self, call: dict[str, Any], received: list[int]) -> None:
        """The client lets models map an array of its own, or does so no longer."""
        shared = self._service.shared
        if call["op"] == "unshare":
            shared.unshare(self, str(call["name"]))
        else:
            shared.share(self, f"kernel {self._pid}", call, received.pop(0))

    def _on_close(self) -> None:
        self.end()
        self._service.shared.kernel_ended(self)
        for target in self._service.registry.all_servables():
            target.detach([segment.id for segment in self._own.values() if not segment.pinned])
        for segment in self._own.values():
            segment.close()
        self._on_closed(self)

    # -- for the peer -------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        self._channel.send(data)

    def _decoupled_text(self, model: str) -> str:
        asked = "ask for a stream of its responses, as model.stream(...) does"
        return f"model '{model}' is decoupled and may answer any number of times: {asked}"

    def _place(self, key: int, descriptors: Sequence[PlainDescriptor]) -> Place:
        for segment, offset, nbytes, _ in descriptors:
            own = self._own.get(segment)
            if nbytes and (own is None or offset + nbytes > own.nbytes):
                raise WireError("a request points outside of its lane's memory")
        return Place(self, key, tuple(self._own.values()), [(*item[:3], 0) for item in descriptors])

    def _show(self, segment: Segment) -> None:
        """Give the client a segment of a stub's, once, and take back those of stubs that have ended."""
        if segment.id in self._sent:
            return
        ended = [known for known, shown in self._sent.items() if shown.closed]
        for known in ended:
            del self._sent[known]
        self._sent[segment.id] = segment
        note = {"segments": [segment.announce(writable=True)], "dropped": ended}
        self._channel.send(frames.encode_cold(frames.NOTE, note), (segment.fd,))

    # -- the memory of its jobs ---------------------------------------------------------------------------------------

    def view(self, segment: int, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range of the lane's memory."""
        return self._own[segment].view[offset : offset + nbytes] if nbytes else memoryview(b"")

    def segment(self, segment_id: int) -> Segment:
        """A segment of the lane's memory."""
        return self._own[segment_id]

    def free(self, block_id: int) -> None:
        """Nothing reads a request's inputs any more."""
        self.inputs_free(block_id)
