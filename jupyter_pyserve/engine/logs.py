"""What models print and log, by instance: kept (bounded) for whoever asks, and passed on to the server's own output.

Owns the ring of records and the reading of stubs' output pipes. Knows nothing of how records are shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Reversible
from dataclasses import dataclass
from typing import TextIO

from pyserve_stub.output import ID_BEGINS, ID_ENDS

from jupyter_pyserve.engine.server_log import ServerLog

_model_log = logging.getLogger("pyserve.model")

_LEVELS = {"INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR, "VERBOSE": logging.DEBUG}
_MAX_LINE_NBYTES = 16 * 1024

_ID_BEGINS = ID_BEGINS.encode()
_REQUEST = re.compile(re.escape(_ID_BEGINS) + rb"([^\0]*)" + re.escape(ID_ENDS.encode()))

#: How long a line without an end is waited for.
_UNFINISHED_S = 0.5


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line; `stream` is stdout, stderr or log (through `pb_utils.Logger` or `logging`).

    `request` are the ids of the requests that were being executed, as far as they have any.
    """

    time: float
    model: str
    version: str
    instance: str
    pid: int
    stream: str
    level: str
    text: str
    request: str = ""

    def to_json_dict(self) -> dict[str, object]:
        """As the control API shows it."""
        return {
            "time": self.time,
            "instance": self.instance,
            "version": self.version,
            "pid": self.pid,
            "stream": self.stream,
            "level": self.level,
            "text": self.text,
            "request": self.request,
        }


class LogBook:
    """The last records of each model, and the last of all."""

    def __init__(
        self, output: TextIO | None, log: ServerLog | None = None, per_model: int = 2000, *, marked: bool = False
    ) -> None:
        """What models print goes to `output` as it is, as on Triton; or `marked`, so that it cannot pass for ours."""
        self._output = output
        self._log = log
        self._marked = marked
        self._per_model = per_model
        self._records: dict[str, deque[tuple[int, LogRecord]]] = {}
        #: The number of the newest record; each has one of its own.
        self.seq = 0
        self.closed = False
        self._watchers: set[asyncio.Event] = set()

    def add(self, record: LogRecord, file: str = "", line: int = 0) -> None:
        """Keep a record; printed lines also go to the server's output as they are, logged ones to its log."""
        if record.level == "VERBOSE" and (self._log is None or not self._log.verbose):
            return  # nobody wants to see it, and it would push out what somebody wants to
        records = self._records.get(record.model)
        if records is None:
            records = self._records[record.model] = deque(maxlen=self._per_model)
        self.seq += 1
        records.append((self.seq, record))
        for news in self._watchers:
            news.set()
        if record.stream == "log":
            level = _LEVELS.get(record.level, logging.INFO)
            _model_log.log(level, "%s", record.text, extra={"model_file": file or "engine", "model_line": line})
        elif self._output is not None:
            text = f"[{record.instance}] {_printable(record.text)}" if self._marked else record.text
            with contextlib.suppress(OSError, ValueError):  # a full disk, a closed pipe, an alphabet too small for it
                print(text, file=self._output, flush=True)

    def tail(self, model: str | None, count: int, instance: str = "") -> list[LogRecord]:
        """The last `count` records of a model (of all, in order of time, when None)."""
        records = [item for _, item in self.since(model, 0) if instance in ("", item.instance)]
        if model is None:
            records.sort(key=lambda item: item.time)
        return records[-count:] if count > 0 else []

    def since(self, model: str | None, seq: int) -> list[tuple[int, LogRecord]]:
        """The records of a model (of all when None) behind the one with that number, with theirs, as they came."""
        if model is None:
            return sorted(item for ring in self._records.values() for item in _behind(ring, seq))
        return _behind(self._records.get(model, ()), seq)

    @contextlib.contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """An event that is set with each record."""
        news = asyncio.Event()
        self._watchers.add(news)
        try:
            yield news
        finally:
            self._watchers.discard(news)

    def close(self) -> None:
        """Nobody is waited for any more."""
        self.closed = True
        for news in self._watchers:
            news.set()

    def forget(self, model: str) -> None:
        """The model is gone for good."""
        self._records.pop(model, None)


def _behind(ring: Reversible[tuple[int, LogRecord]], seq: int) -> list[tuple[int, LogRecord]]:
    return list(itertools.takewhile(lambda item: item[0] > seq, reversed(ring)))[::-1]


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in text)


class PipeReader:
    """Reads one pipe without blocking and hands on each line with the id of its request.

    A line that is too long is cut into pieces; one that has no end for a while is handed on as it is, and goes on then.
    """

    def __init__(self, fd: int, on_line: Callable[[str, str], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._on_line = on_line
        self._rest = b""
        self._request = ""
        self._continued = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._readable)

    def close(self) -> None:
        """Take what is left, then stop."""
        if self._fd < 0:
            return
        self._readable()
        if self._fd >= 0:
            self._end()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        data = self._rest + data
        while (found := _REQUEST.search(data)) is not None:
            self._take(data[: found.start()])
            self._emit_rest()
            self._request = found.group(1).decode("utf-8", "replace")
            data = data[found.end() :]
        self._take(data)
        if self._rest and self._timer is None:
            self._timer = self._loop.call_later(_UNFINISHED_S, self._waited)

    def _take(self, data: bytes) -> None:
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            self._emit(line)
        while len(self._rest) > _MAX_LINE_NBYTES:
            self._emit(self._rest[:_MAX_LINE_NBYTES])
            self._rest = self._rest[_MAX_LINE_NBYTES:]

    def _waited(self) -> None:
        self._timer = None
        if self._rest and _ID_BEGINS not in self._rest:  # else the end of an id is on its way
            self._emit_rest()
            self._continued = True

    def _emit_rest(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._emit(rest)

    def _emit(self, line: bytes) -> None:
        continued, self._continued = self._continued, False
        if line or not continued:
            # Of a progress bar, which goes back to the beginning again and again, what it shows in the end.
            shown = line.rstrip(b"\r").rpartition(b"\r")[2]
            self._on_line(shown.decode("utf-8", "backslashreplace"), self._request)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._emit_rest()
