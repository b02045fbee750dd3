"""HTTP/2 frames (RFC 9113): their numbers, and the bytes of those that a server sends.

Pure. What frames mean for a connection is `connection`'s.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD: Final = struct.Struct(">BHBBL")
HEAD_NBYTES: Final = HEAD.size
STREAM_MASK: Final = 0x7FFFFFFF
MAX_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535
DEFAULT_FRAME_NBYTES: Final = 16_384
LARGEST_FRAME_NBYTES: Final = 2**24 - 1

DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
WITH_PRIORITY: Final = 0x20

_NUMBER: Final = struct.Struct(">L")
_SETTING: Final = struct.Struct(">HL")
_GOAWAY: Final = struct.Struct(">LL")


class Setting(enum.IntEnum):
    """What a peer may say about itself."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(enum.IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFault(Exception):
    """The peer broke the protocol, so that the connection cannot go on."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return head(len(payload), kind, flags, stream) + payload


def head(nbytes: int, kind: int, flags: int, stream: int) -> bytes:
    """What stands before a payload."""
    return HEAD.pack(nbytes >> 16, nbytes & 0xFFFF, kind, flags, stream)


def settings(values: dict[Setting, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join([_SETTING.pack(key, value) for key, value in values.items()]))


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """The pairs in a SETTINGS frame."""
    if len(payload) % _SETTING.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "settings are cut short")
    return _SETTING.iter_unpack(payload)


def window_update(stream: int, increment: int) -> bytes:
    """Room for more bytes."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(increment))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    """The end of one stream."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last_stream: int, code: ErrorCode, text: bytes = b"") -> bytes:
    """The end of a connection, as soon as the streams up to the last one are done."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream, code) + text)


def number(payload: bytes) -> int:
    """The 31 bits that WINDOW_UPDATE and RST_STREAM hold, or all 32 of an error code."""
    if len(payload) != _NUMBER.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame has a wrong size")
    return int(_NUMBER.unpack(payload)[0])


def payload_of(data: bytes, start: int, stop: int, flags: int) -> tuple[int, int]:
    """Where the payload of a DATA or HEADERS frame is, without padding and priority."""
    padding = 0
    if flags & PADDED:
        if start == stop:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "a frame is cut short")
        padding = data[start]
        start += 1
    if flags & WITH_PRIORITY:
        start += 5
    if start + padding > stop:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a frame holds nothing but padding")
    return start, stop - padding
