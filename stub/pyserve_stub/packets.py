"""Frames on a sequenced-packet socket: one frame one packet, with descriptors, large ones through an anonymous file.

Knows nothing of what frames mean.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from array import array
from typing import Sequence

from .wire import frames

_MAX_FDS = 8
_CLOEXEC = int(socket.MSG_CMSG_CLOEXEC)  # a plain number: the enum's `|` costs more than the system call's set-up
_ANCILLARY_NBYTES = socket.CMSG_SPACE(_MAX_FDS * struct.calcsize("i"))
#: Room for any frame. From twice as much on, the C library asks the kernel for the memory each time, and receiving a
#: small frame takes ten times as long.
_PACKET_NBYTES = frames.MAX_FRAME
#: The largest frame that travels in an anonymous file; nothing honest comes near.
_MAX_SPILL_NBYTES = 64 * 1024 * 1024


def send_packet(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Send one frame as one packet, through an anonymous file when it is too large for one."""
    if len(data) > _MAX_SPILL_NBYTES:
        text = f"a frame of {len(data)} bytes is larger than the {_MAX_SPILL_NBYTES} that may be sent"
        raise OSError(errno.EMSGSIZE, text)
    if len(data) > frames.MAX_FRAME:
        spill = os.memfd_create("pyserve-frame", os.MFD_CLOEXEC)
        try:
            with open(spill, "wb", closefd=False) as file:
                file.write(data)
            send_packet(sock, bytes((frames.SPILLED,)), (spill, *fds))
        finally:
            os.close(spill)
        return
    if fds:
        sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds))])
    else:
        sock.send(data)


def receive_packet(sock: socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    """Receive one frame and the descriptors that came with it; empty at the end of the stream."""
    data, ancillary, _, _ = sock.recvmsg(_PACKET_NBYTES, _ANCILLARY_NBYTES, flags | _CLOEXEC)
    if not ancillary:
        return data, []
    fds = array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    try:
        if data[:1] == bytes((frames.SPILLED,)) and fds:
            data = _read_spilled(fds[0])
            os.close(fds.pop(0))
        if data:
            kept, fds = list(fds), array("i")
            return data, kept
    finally:
        for fd in fds:
            os.close(fd)
    return data, []


def _read_spilled(fd: int) -> bytes:
    """A frame out of an anonymous file; whatever else a peer may send could keep us waiting for ever."""
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EBADF, "a frame that is not in a file")
    return os.pread(fd, min(facts.st_size, _MAX_SPILL_NBYTES), 0)
