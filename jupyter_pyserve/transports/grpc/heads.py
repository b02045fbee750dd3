"""Heads of calls, decompressed by hpack and remembered by their bytes; heads and trailers of answers, as bytes.

Clients repeat their heads, and after the first one each is a few bytes that refer to it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import hpack

from jupyter_pyserve.transports.grpc.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    ConnectionFault,
    ErrorCode,
)

#: More than any client sends; gRPC's own servers stop at 16 KiB.
MAX_LIST_NBYTES: Final = 32 * 1024
_MAX_KNOWN: Final = 1024
_LARGEST: Final = 4096
#: Texts of errors travel in a head, which clients refuse when it is large.
_MAX_TEXT_NBYTES: Final = 6000
_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNIT_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_UNSAFE: Final = re.compile(rb"[^\x20-\x24\x26-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHead:
    """What a client says before its first message; `problem` is the HTTP status of what is no call at all."""

    path: str
    metadata: Mapping[bytes, bytes]
    timeout_s: float | None
    encoding: str
    accepted: frozenset[str]
    problem: int


class HeadDecoder:
    """Decodes the heads of one connection, all of them and in their order, since each may change the next."""

    __slots__ = ("_decoder", "_known")

    def __init__(self) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=MAX_LIST_NBYTES)
        self._known: dict[bytes, CallHead] = {}

    def decode(self, block: bytes) -> CallHead:
        """A head; raises `ConnectionFault`."""
        known = self._known.get(block)
        if known is not None:
            return known
        table = self._decoder.header_table
        # Who adds an entry puts it first; holding the first one keeps its identity from being another's.
        first, count, size = self._first(), len(table.dynamic_entries), table.maxsize
        try:
            fields = self._decoder.decode(block, raw=True)
        except hpack.OversizedHeaderListError as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a head is too large") from error
        except (hpack.HPACKError, ValueError, IndexError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "a head cannot be decompressed") from error
        found = _read({bytes(name): bytes(value) for name, value in fields})
        changed = self._first() is not first or (len(table.dynamic_entries), table.maxsize) != (count, size)
        if changed or len(self._known) >= _MAX_KNOWN:
            self._known.clear()  # a change of what they refer to, as a rule
        elif len(block) <= _LARGEST:
            self._known[block] = found
        return found

    def _first(self) -> object:
        entries = self._decoder.header_table.dynamic_entries
        return entries[0] if entries else None


def _read(fields: Mapping[bytes, bytes]) -> CallHead:
    problem = 0
    if fields.get(b":method") != b"POST":
        problem = 405
    elif not fields.get(b"content-type", b"").startswith(b"application/grpc"):
        problem = 415
    timeout = _TIMEOUT.fullmatch(fields.get(b"grpc-timeout", b""))
    accepted = fields.get(b"grpc-accept-encoding", b"").decode("latin-1")
    return CallHead(
        path=fields.get(b":path", b"").decode("latin-1"),
        metadata=fields,
        timeout_s=int(timeout[1]) * _UNIT_S[timeout[2]] if timeout is not None else None,
        encoding=fields.get(b"grpc-encoding", b"identity").decode("latin-1"),
        accepted=frozenset(word.strip() for word in accepted.split(",")),
        problem=problem,
    )


def own_metadata(told: CallHead) -> list[tuple[str, str]]:
    """What of a head is the client's own, and not the protocol's."""
    return [
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape"))
        for name, value in sorted(told.metadata.items())
        if not name.startswith((b":", b"grpc-")) and name not in (b"te", b"content-type")
    ]


def _literal(name: bytes, value: bytes) -> bytes:
    """A field that nobody remembers."""
    return b"\x00" + _string(name) + _string(value)


def _string(data: bytes) -> bytes:
    if len(data) < 127:
        return bytes((len(data),)) + data
    rest, size = len(data) - 127, bytearray((127,))
    while rest > 127:
        size.append(rest & 127 | 128)
        rest >>= 7
    size.append(rest)
    return bytes(size) + data


_STATUS_200: Final = b"\x88"

HEAD: Final = _STATUS_200 + _literal(b"content-type", b"application/grpc")
OK: Final = _literal(b"grpc-status", b"0")


_START: Final = struct.Struct(f">BHBBL{len(HEAD)}sBHBBLBL")
_END: Final = struct.Struct(f">BHBBL{len(OK)}s")


def around(stream: int, nbytes: int, pieces: Sequence[bytes | memoryview]) -> bytes:
    """All frames of a call that is answered by one message of `nbytes` in `pieces`, which fits into a frame."""
    size = nbytes + 5
    start = _START.pack(
        *(0, len(HEAD), HEADERS, END_HEADERS, stream, HEAD),
        *(size >> 16, size & 0xFFFF, DATA, 0, stream, 0, nbytes),
    )
    return b"".join((start, *pieces, _END.pack(0, len(OK), HEADERS, END_HEADERS | END_STREAM, stream, OK)))


def head(encoding: str) -> bytes:
    """The head of an answer whose messages may be compressed."""
    return HEAD + _literal(b"grpc-encoding", encoding.encode("latin-1"))


def trailers(status: int, text: str) -> bytes:
    """The end of a call."""
    if not status:
        return OK
    block = _literal(b"grpc-status", b"%d" % status)
    return block + _literal(b"grpc-message", _escaped(text)) if text else block


def not_a_call(status: int) -> bytes:
    """The answer to a request that is not gRPC."""
    return _literal(b":status", b"%d" % status) + _literal(b"content-length", b"0")


KNOWN_ENCODINGS: Final = _literal(b"grpc-accept-encoding", b"identity,deflate,gzip")


def _escaped(text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if len(data) > _MAX_TEXT_NBYTES:
        data = data[:_MAX_TEXT_NBYTES].decode("utf-8", "ignore").encode() + b"..."
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], data)
