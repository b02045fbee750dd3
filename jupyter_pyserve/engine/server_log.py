"""The engine's own log: which lines are let through, in which format, to which place; changed while it runs.

Owns the one handler. Knows nothing of who may change its settings, nor of what models say: their lines pass through it.
"""

from __future__ import annotations

import logging
import os
import sys
import time

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import LogFormat, LogSettings
from jupyter_pyserve.v2.jsonout import quote


class ServerLog:
    """Log settings in force; until `install` they let through and format nothing."""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._formatter = TritonFormatter()
        self._root: logging.Logger | None = None

    @property
    def settings(self) -> LogSettings:
        """What holds now."""
        return self._settings

    @property
    def verbose(self) -> bool:
        """Whether verbose lines are let through."""
        return self._settings.verbose_level > 0

    def install(self) -> None:
        """Make every logger of this process write through these settings; raises when the file can't be opened."""
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        if self._settings.file:
            try:
                handler = logging.FileHandler(self._settings.file, encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                raise PyServeError(
                    Code.INVALID_ARG, f"failed to open log file {self._settings.file}: {error}"
                ) from error
        handler.setFormatter(self._formatter)
        handler.addFilter(self._passes)
        self._root = logging.getLogger()
        self._root.handlers[:] = [handler]
        for talker in ("asyncio", "hpack"):  # they say more of every call than anybody wants to read
            logging.getLogger(talker).setLevel(logging.WARNING)
        self.change(self._settings)

    def change(self, settings: LogSettings) -> None:
        """Take other settings over; the file stays."""
        self._settings = settings
        self._formatter.iso8601 = settings.format is LogFormat.ISO8601
        if self._root is not None:
            self._root.setLevel(logging.DEBUG if self.verbose else logging.INFO)

    def _passes(self, record: logging.LogRecord) -> bool:
        settings = self._settings
        if record.levelno < logging.INFO:
            return settings.verbose_level > 0
        if record.levelno < logging.WARNING:
            return settings.info
        return settings.warning if record.levelno < logging.ERROR else settings.error


class TritonFormatter(logging.Formatter):
    """Triton's log lines: `I1122 11:18:56.242545 4711 file.py:8] "text"`, or with a date of ISO 8601; times are UTC."""

    def __init__(self) -> None:
        super().__init__()
        self.iso8601 = False
        self._escapes = os.environ.get("TRITON_SERVER_ESCAPE_LOG_MESSAGES") != "0"

    def format(self, record: logging.LogRecord) -> str:
        moment = time.gmtime(record.created)
        letter = "I" if record.levelno <= logging.INFO else "W" if record.levelno < logging.ERROR else "E"
        if self.iso8601:
            start = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', moment)} {letter}"
        else:
            start = f"{letter}{time.strftime('%m%d %H:%M:%S', moment)}.{int(record.created % 1 * 1_000_000):06d}"
        file = getattr(record, "model_file", record.filename)
        line = getattr(record, "model_line", record.lineno)
        text = quote(record.getMessage()) if self._escapes else record.getMessage()
        shown = f"{start} {os.getpid()} {file}:{line}] {text}"
        return f"{shown}\n{self.formatException(record.exc_info)}" if record.exc_info else shown
