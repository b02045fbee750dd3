"""The page on which a stub shows what it is doing: plain stores by the stub, plain loads by whoever looks.

It is for showing only. Nothing is ever decided by it, so a torn read is a wrong number on a screen and no more.
"""

from __future__ import annotations

import mmap
import signal
import struct
from typing import NamedTuple

_PAGE = struct.Struct("<IIQQQQQQ")
_BEGIN = struct.Struct("<I")
_REQUEST = struct.Struct("<QQ")
_ARENA = struct.Struct("<QQ")
_ARENA_AT = _PAGE.size - _ARENA.size

#: Bytes of the page that the engine makes for each stub.
STATUS_NBYTES = 4096

#: Where a stub writes the stacks of its threads when it gets this signal: right behind the page, so much at most.
STACKS_NBYTES = 1 << 16
STACKS_SIGNAL = signal.SIGRTMAX - 2

STATES = ("SPAWNED", "LOADING", "READY", "BUSY", "FINALIZING")
SPAWNED, LOADING, READY, BUSY, FINALIZING = range(5)


class Status(NamedTuple):
    """What the page says; `since_ns` is on the monotonic clock that all processes of a machine share."""

    state: int
    pid: int
    current_request: int
    since_ns: int
    requests: int
    failures: int
    arena_used: int
    arena_capacity: int


def write_status(page: mmap.mmap, status: tuple[int, int, int, int, int, int, int, int]) -> None:
    """Store a whole status."""
    _PAGE.pack_into(page, 0, *status)


def write_arena(page: mmap.mmap, used: int, capacity: int) -> None:
    """Store what has changed when the engine gave memory back."""
    _ARENA.pack_into(page, _ARENA_AT, used, capacity)


def show_busy(page: mmap.mmap, request: int, now_ns: int) -> None:
    """Store what changes when a request starts."""
    _BEGIN.pack_into(page, 0, BUSY)
    _REQUEST.pack_into(page, 8, request, now_ns)


def read_status(page: mmap.mmap | memoryview) -> Status:
    """Load a whole status."""
    return Status(*_PAGE.unpack_from(page, 0))
