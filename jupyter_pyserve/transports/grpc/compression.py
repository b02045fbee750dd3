"""Compression of messages: what clients may send, and what answers are sent in."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

#: Names on the wire -> zlib's way to say which container.
_WBITS = {"gzip": 31, "deflate": 15}

#: Triton's words -> zlib's levels.
LEVELS = {"low": 1, "medium": 6, "high": 9}


class DecompressionError(ValueError):
    """A message that cannot be decompressed."""


def is_known(encoding: str) -> bool:
    """Whether messages in this encoding can be read."""
    return encoding == "identity" or encoding in _WBITS


def decompress(data: bytes | memoryview, encoding: str, limit: int) -> bytes:
    """The message, which may have at most `limit` bytes."""
    wbits = _WBITS.get(encoding)
    if wbits is None:
        raise DecompressionError("a message is marked as compressed, but the call names no compression")
    stream = zlib.decompressobj(wbits)
    try:
        message = stream.decompress(data, limit)
    except zlib.error as error:
        raise DecompressionError(f"a message cannot be decompressed: {error}") from error
    if not stream.eof:
        raise DecompressionError("a message is cut short or larger than it may be")
    return message


@dataclass(frozen=True, slots=True)
class Compressor:
    """How answers are compressed; `name` is the encoding's."""

    name: str
    level: int

    def compress(self, pieces: Sequence[bytes | memoryview]) -> bytes:
        """One message."""
        stream = zlib.compressobj(self.level, wbits=_WBITS[self.name])
        return b"".join([*[stream.compress(piece) for piece in pieces], stream.flush()])


def choose(level: str, accepted: frozenset[str]) -> Compressor | None:
    """The way to compress that a client reads, at one of `LEVELS`; None for none."""
    name = next((name for name in _WBITS if name in accepted), None)
    return Compressor(name, LEVELS[level]) if name is not None and level in LEVELS else None
