"""`pyserve.log_viewer`: what models print and log, as it comes. The view filters; the last lines are kept here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.display import LogView, View
from jupyter_pyserve.notebook.markup import Markup, element
from jupyter_pyserve.notebook.payloads import LogRecord
from jupyter_pyserve.notebook.widgets.following import follow
from jupyter_pyserve.notebook.widgets.live import Live
from jupyter_pyserve.notebook.widgets.running import Background, Run

#: So many lines are kept, here and in the view, and so many at most are sent at once.
KEPT = 2000
_AT_ONCE = 500
_PICTURE = 100
_FLUSH_S = 0.25
_MAX_TEXT = 4000


class LogViewer(Live):
    """Lines are gathered for a moment, so that a model that prints a lot does not send a message for each."""

    kind = "log_viewer"

    def __init__(self, name: str | None = None, *, tail: int = 200) -> None:
        super().__init__()
        self.name = name
        self._tail = max(1, tail)
        self._records: deque[LogRecord] = deque(maxlen=KEPT)
        self._pending: deque[LogRecord] = deque()
        self._left_out = 0
        self._after: int | None = None
        self._newest_s = 0.0
        self._problem = ""
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._background = Background(self._read)

    @property
    def running(self) -> bool:
        """Whether the engine is being listened to."""
        return self._background.running

    def begin(self) -> None:
        with self._lock:
            self._pending.clear()
            self._left_out = 0
            lines = [_line(record) for record in self._records]
            self.send({"type": "all", "name": self.name, "lines": lines, "kept": KEPT, "problem": self._problem})
        self._background.start()

    def rest(self) -> None:
        self._background.stop()

    def picture(self) -> View:
        with self._lock:
            records, problem = list(self._records)[-_PICTURE:], self._problem
        if not records and not problem and not self.running:
            records, problem = self._look()
        return _Lines(self.name, records, problem)

    def _look(self) -> tuple[list[LogRecord], str]:
        try:
            found = default_client().connection.json("GET", self._path(tail=min(self._tail, _PICTURE)), timeout_s=10.0)
        except PyServeError as error:
            return [], error.message
        return found["records"], ""

    def _path(self, **query: object) -> str:
        path = "/api/logs" if self.name is None else f"/api/models/{quote(self.name, safe='')}/logs"
        return f"{path}?{urlencode(query)}"

    def _read(self, run: Run) -> None:
        def path() -> str:
            if self._after is None:
                return self._path(follow=1, tail=self._tail)
            return self._path(follow=1, tail=KEPT, after=self._after)

        def record(found: Mapping[str, Any]) -> None:
            if not run.over.is_set():
                self._take(LogRecord(**found))  # type: ignore[typeddict-item]

        follow(run, path, record, self._heed)

    def _take(self, record: LogRecord) -> None:
        with self._lock:
            if self._after is None and record["time"] <= self._newest_s:
                return  # known from an engine that has been replaced, or from before the connection broke
            self._after = record.get("seq", self._after)
            self._newest_s = record["time"]
            self._records.append(record)
            self._pending.append(record)
            if len(self._pending) > _AT_ONCE:
                self._pending.popleft()
                self._left_out += 1
            if self._timer is None:
                self._timer = threading.Timer(_FLUSH_S, self._flush)
                self._timer.daemon = True
                self._timer.start()

    def _flush(self) -> None:
        with self._lock:
            self._timer = None
            lines = [_line(record) for record in self._pending]
            left_out, self._left_out = self._left_out, 0
            self._pending.clear()
            if lines:
                self.send({"type": "lines", "lines": lines, "left_out": left_out})
        self.keep_picture(at_once=False)

    def _heed(self, problem: str) -> None:
        with self._lock:
            self._problem = problem
            if problem:
                self._after = None  # another engine counts anew
        self.send({"type": "problem", "text": f"{problem}; asking again …" if problem else ""})


class _Lines(LogView):
    """The last lines."""

    def __init__(self, name: str | None, records: list[LogRecord], problem: str) -> None:
        super().__init__(records)
        self._title = f"the log of '{name}'" if name else "the log of all models"
        self._problem = problem

    def html(self) -> Markup:
        parts = [element("div", self._title), element("div", self._problem), super().html()]
        return element("div", *parts)

    def plain(self) -> str:
        return "\n".join(filter(None, [self._problem, super().plain()]))


def _line(record: LogRecord) -> list[object]:
    """Time, instance, kind, request, text: as short as it can be, for there may be thousands."""
    stream = record.get("stream", "")
    text = record.get("text", "").rstrip("\n")
    if len(text) > _MAX_TEXT:
        text = f"{text[:_MAX_TEXT]} … ({len(text)} characters)"
    kind = record.get("level", "") if stream == "log" else stream
    return [record.get("time", 0.0), record.get("instance", ""), kind, record.get("request", ""), text]
