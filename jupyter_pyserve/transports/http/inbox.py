"""The bytes of a connection that have come and are not used yet: one fixed buffer, filled by the transport."""

from __future__ import annotations

_NBYTES = 64 * 1024


class Inbox:
    """Filled at the end, taken from the start; never grows, so an endless head is noticed."""

    __slots__ = ("_buffer", "_end", "_start", "_view")

    def __init__(self) -> None:
        self._buffer = bytearray(_NBYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def __bool__(self) -> bool:
        return self._start != self._end

    def room(self) -> memoryview:
        """Where the transport may write; nowhere only if `full`."""
        if self._end == _NBYTES:
            self.full()  # makes room
        return self._view[self._end :]

    def filled(self, nbytes: int) -> None:
        """The transport has written."""
        self._end += nbytes

    def full(self) -> bool:
        """Whether there is no room, even after moving what is left to the start."""
        if self._end < _NBYTES:
            return False
        left = self._end - self._start
        self._buffer[:left] = self._buffer[self._start : self._end]
        self._start, self._end = 0, left
        return left == _NBYTES

    def begins(self, prefix: bytes, nbytes: int) -> bool:
        """Whether so many bytes are here, and begin like this."""
        return self._end - self._start >= nbytes and self._buffer.startswith(prefix, self._start)

    def take(self, nbytes: int) -> memoryview:
        """The next bytes, at most `nbytes`; valid until the transport writes again."""
        start = self._start
        end = min(start + nbytes, self._end)
        if end == self._end:
            self._start = self._end = 0
        else:
            self._start = end
        return self._view[start:end]

    def peek(self) -> memoryview:
        """All that is here, not taken yet."""
        return self._view[self._start : self._end]

    def take_head(self) -> bytes | None:
        """A whole request head with its blank line, if it is here."""
        start = self._start
        index = self._buffer.find(b"\r\n\r\n", start, self._end)
        return None if index < 0 else bytes(self.take(index + 4 - start))
