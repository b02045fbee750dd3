"""Logs from Python: the last records of a model or of all, and those that come, for `for` and for `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.api import control
from jupyter_pyserve.notebook.control import LogFilter, LogStream
from jupyter_pyserve.notebook.display import LogView
from jupyter_pyserve.notebook.payloads import LogRecord

LEVELS = ("VERBOSE", "INFO", "WARNING", "ERROR")


def logs(
    name: str | None = None,
    *,
    tail: int = 200,
    instance: str | None = None,
    level: str | None = None,
    grep: str | None = None,
    request: str | None = None,
) -> LogView:
    """What a model, or every model, printed and logged: the last `tail` lines that all the rest is true of.

    `level` means it and above, `grep` a part of the text in any case, `request` a request's id.
    """
    wanted = _filter(tail, instance, level, grep, request)
    asked = control()
    records = asked.logs(name, wanted)
    if name is not None and not records:
        asked.model_status(name)  # a model that is unknown, rather than silent, is an error
    return LogView(records)


def follow_logs(
    name: str | None = None,
    *,
    tail: int = 10,
    instance: str | None = None,
    level: str | None = None,
    grep: str | None = None,
    request: str | None = None,
) -> FollowedLogs:
    """The same lines, and then those that come, in a `for` or an `async for`; `close()` ends it, from any thread."""
    asked = control()
    if name is not None:
        asked.model_status(name)
    return FollowedLogs(asked.follow_logs(name, _filter(tail, instance, level, grep, request)))


class FollowedLogs:
    """Log records as they come."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[LogRecord]:
        return iter(self._stream)

    async def __aiter__(self) -> AsyncIterator[LogRecord]:
        records = iter(self._stream)
        try:
            while (record := await asyncio.to_thread(next, records, None)) is not None:
                yield record
        finally:
            self.close()

    def close(self) -> None:
        """End it; wakes whoever waits for the next record."""
        self._stream.close()


def _filter(tail: int, instance: str | None, level: str | None, grep: str | None, request: str | None) -> LogFilter:
    if level is not None and level not in LEVELS:
        raise PyServeError(Code.INVALID_ARG, f"'{level}' is not one of: {', '.join(LEVELS)}")
    return LogFilter(tail=tail, instance=instance, level=level, search=grep, request=request)
