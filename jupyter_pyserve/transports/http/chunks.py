"""Taking the chunks of a request body apart (RFC 9112, section 7.1), within limits.

Not httptools' work, because its parser does not say where a body ends, and the next request may follow in one packet.
"""

from __future__ import annotations

import enum
import re

_MAX_CHUNKS = 65536
_MAX_LINE_NBYTES = 4096
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class _Part(enum.Enum):
    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILER = "trailer"


class Dechunker:
    """Collects a chunked body of at most `limit` bytes; without a limit it is read and thrown away."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._part = _Part.SIZE
        self._line = b""
        self._left = 0
        self._count = 0
        self.body = bytearray()
        self.complete = False
        #: What is wrong with the body, if anything.
        self.problem: str | None = None

    def feed(self, data: memoryview) -> int:
        """Take bytes; how many of them belonged to the body."""
        at = 0
        while at < len(data) and not self.complete and self.problem is None:
            if self._part is _Part.DATA:
                at += self._take_data(data[at:])
            else:
                at += self._take_line(data[at:])
        return at

    def _take_data(self, data: memoryview) -> int:
        piece = data[: self._left]
        if self._limit is not None:
            self.body += piece
        self._left -= len(piece)
        if not self._left:
            self._part = _Part.DATA_END
        return len(piece)

    def _take_line(self, data: memoryview) -> int:
        window = bytes(data[: _MAX_LINE_NBYTES + 1])
        end = window.find(b"\n")
        taken = len(window) if end < 0 else end + 1
        self._line += window[:taken]
        if len(self._line) > _MAX_LINE_NBYTES:
            self.problem = "malformed chunked body"
        elif end >= 0:
            line, self._line = self._line, b""
            self._on_line(line)
        return taken

    def _on_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self.problem = "malformed chunked body"
        elif self._part is _Part.SIZE:
            self._on_size(line[:-2])
        elif self._part is _Part.TRAILER:
            self.complete = line == b"\r\n"
        elif line == b"\r\n":
            self._part = _Part.SIZE
        else:
            self.problem = "malformed chunked body"

    def _on_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            self.problem = "malformed chunked body"
            return
        self._left = int(found.group(1), 16)
        if not self._left:
            self._part = _Part.TRAILER
            return
        self._part = _Part.DATA
        self._count += 1
        size = len(self.body) + self._left
        if self._count > _MAX_CHUNKS:
            self.problem = (
                f"Chunked request body exceeds maximum of {_MAX_CHUNKS} non-empty chunks. "
                "Send fewer or larger HTTP chunks."
            )
        elif self._limit is not None and size > self._limit:
            self.problem = (
                f"request JSON size of {size} bytes exceeds the maximum allowed input size of {self._limit} bytes. "
                "Use --http-max-input-size to increase the limit."
            )
