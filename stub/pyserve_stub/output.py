"""What a model prints and logs, on its way to the engine: by the line, with the id of the request that it is for.

The id stands in the stream itself, between control characters, where it changes: so it belongs to exactly what follows.
What was printed without an end of line is not kept back for long. Knows no channel and no request, only ids.
"""

from __future__ import annotations

import contextvars
import io
import logging
import threading
import time
from typing import Any, Sequence

from .host import get_host
from .vocabulary import LogLevel

#: Around the id of the request that what follows is for; nothing printable is cut by them.
ID_BEGINS = "\0\1"
ID_ENDS = "\0"

_MAX_ID = 256

#: How long text without an end of line may wait.
_DELAY_S = 0.2

_CURRENT = contextvars.ContextVar("pyserve_request", default="")

_streams: list[Output] = []


def current_request() -> str:
    """The ids of the requests that the calling thread or coroutine works on."""
    return _CURRENT.get()


def begin(ids: Sequence[str]) -> None:
    """What is printed from now on, here and in what is started here, is for these requests."""
    text = ",".join(ids)
    _CURRENT.set((text if text.isprintable() else "".join(filter(str.isprintable, text)))[:_MAX_ID])


def over() -> None:
    """It is for nobody in particular any more."""
    if _CURRENT.get():
        _CURRENT.set("")
        for stream in _streams:
            stream.settle()


class Output(io.TextIOWrapper):
    """A standard stream of the stub."""

    def __init__(self, fd: int) -> None:
        raw = io.FileIO(fd, "w", closefd=False)
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._announced = ""
        _streams.append(self)

    def write(self, text: str) -> int:
        """As usual; what is left unfinished shows a little later."""
        request = _CURRENT.get()
        if request != self._announced:
            self._announce(request)
        written = super().write(text)
        if not self.line_buffering or not text.endswith("\n"):
            _flusher.flush_soon()
        return written

    def settle(self) -> None:
        """A request is over: what others write to the descriptor is not for it."""
        if self._announced and not self.closed:
            self._announce("")
            self.flush_if_open()

    def flush_if_open(self) -> None:
        """A model may have closed it, or its descriptor."""
        try:
            self.flush()
        except (OSError, ValueError):
            pass

    def _announce(self, request: str) -> None:
        self._announced = request
        super().write(f"{ID_BEGINS}{request}{ID_ENDS}")


class _Flusher:
    """Flushes all streams a little after it was told to; sleeps for good while nobody leaves a line unfinished."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._armed = False
        self._started = False

    def flush_soon(self) -> None:
        if self._armed:
            return
        self._armed = True
        self._wanted.set()
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="pyserve-output", daemon=True).start()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            time.sleep(_DELAY_S)
            self._armed = False
            for stream in _streams:
                stream.flush_if_open()


_flusher = _Flusher()


def start_anew() -> None:
    """In a forked child: the thread is the parent's."""
    global _flusher
    _flusher = _Flusher()


class LastResort(logging.Handler):
    """What `logging` does with records that a model has configured no handler for: they go to the server's log."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, with its own file and line."""
        level = LogLevel.ERROR if record.levelno >= logging.ERROR else LogLevel.WARNING
        try:
            get_host().log(int(level), record.filename, record.lineno, self.format(record))
        except Exception:  # noqa: BLE001 - what handlers do with their own failures
            self.handleError(record)


def route_logging() -> None:
    """Replace the last resort; handlers that a model sets are its own affair."""
    last_resort: Any = LastResort(logging.WARNING)
    logging.lastResort = last_resort
