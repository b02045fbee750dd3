"""The engine's end of a channel, played by a test: what it hands over, what it is told."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from pyserve_stub.packets import receive_packet, send_packet
from pyserve_stub.session import Session
from pyserve_stub.wire import frames
from pyserve_stub.wire.frames import PlainDescriptor

MARK = frames.encode_cold(frames.CALL, {"op": "mark"})


def new_memory(nbytes: int) -> int:
    """A descriptor of that much anonymous memory."""
    fd = os.memfd_create("pyserve-test", os.MFD_CLOEXEC)
    os.ftruncate(fd, nbytes)
    return fd


class Peer:
    """The test is the engine; `session` is the stub's side."""

    def __init__(self) -> None:
        self.sock, stub_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.session = Session(stub_end)
        self.memory: dict[int, mmap.mmap] = {}
        self._ids = itertools.count(1)

    def close(self) -> None:
        self.sock.close()
        self.session.sock.close()

    def new_segment(self, nbytes: int, *, writable: bool = True, arena: str = "") -> tuple[dict[str, Any], int]:
        """A segment that the test sees too: how a frame announces it, and the descriptor to send along."""
        segment_id, fd = next(self._ids), new_memory(nbytes)
        self.memory[segment_id] = mmap.mmap(fd, nbytes)
        return {"id": segment_id, "nbytes": nbytes, "writable": writable, "arena": arena}, fd

    def give(self, nbytes: int, *, writable: bool = True, arena: str = "") -> int:
        """Hand a segment over, and see to it that the stub has it."""
        announced, fd = self.new_segment(nbytes, writable=writable, arena=arena)
        self.tell(frames.NOTE, {"op": "segments", "segments": [announced]}, (fd,))
        os.close(fd)
        self.settle()
        return int(announced["id"])

    def tell(self, kind: int, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        send_packet(self.sock, frames.encode_cold(kind, message), fds)

    def settle(self) -> None:
        """Let the stub take in everything that was sent so far."""
        self.sock.send(MARK)
        assert self.session.receive() == MARK

    def next(self) -> bytes:
        """The next frame from the stub."""
        data, fds = receive_packet(self.sock)
        assert fds == []
        return data

    def told(self) -> list[bytes]:
        """All that the stub has sent and that was not taken yet."""
        taken = []
        with contextlib.suppress(BlockingIOError):
            while True:
                taken.append(receive_packet(self.sock, socket.MSG_DONTWAIT)[0])
        return taken

    def bytes_at(self, descriptor: PlainDescriptor) -> bytes:
        segment, offset, nbytes, _ = descriptor
        if not nbytes:
            return b""
        return self.memory[segment][offset : offset + nbytes]

    def answer_growth(self, nbytes: int) -> GrowthThread:
        """Grant every call for more memory with segments of that size, until `close`."""
        return GrowthThread(self, nbytes)


class GrowthThread:
    """Reads the stub's frames in a thread: calls for memory are granted, all others are in `others`."""

    def __init__(self, peer: Peer, nbytes: int) -> None:
        self.granted = 0
        self.others: queue.Queue[bytes] = queue.Queue()
        self._peer = peer
        self._nbytes = nbytes
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> GrowthThread:
        return self

    def __exit__(self, *exc: object) -> None:
        self._peer.session.sock.shutdown(socket.SHUT_WR)
        self._thread.join()

    def _run(self) -> None:
        while True:
            data, _ = receive_packet(self._peer.sock)
            if not data:
                return
            if data[0] == frames.CALL:
                call = frames.decode_cold(data)
                assert call["op"] == "grow"
                announced, fd = self._peer.new_segment(
                    max(self._nbytes, call["nbytes"] + 4095 & -4096), arena="responses"
                )
                self.granted += 1
                self._peer.tell(frames.REPLY, {"id": call["id"], "ok": True, "segments": [announced]}, (fd,))
                os.close(fd)
            else:
                self.others.put(data)


def started(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """A thread that runs `work`, and the list that will hold its result or error."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - for the test to look at
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results
