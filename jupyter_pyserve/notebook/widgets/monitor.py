"""`pyserve.monitor`: the processes of a model, or of all models, as they are from second to second."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.client import default_client
from jupyter_pyserve.notebook.connection import Connection
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.widgets.following import follow
from jupyter_pyserve.notebook.widgets.live import Live
from jupyter_pyserve.notebook.widgets.monitor_picture import MonitorPicture
from jupyter_pyserve.notebook.widgets.running import Background, Run
from jupyter_pyserve.notebook.widgets.watched import Watched


class Monitor(Live):
    """One message to the view for each line of the engine, with what has changed."""

    kind = "monitor"

    def __init__(self, name: str | None = None, *, interval_s: float = 1.0) -> None:
        super().__init__()
        self.name = name
        self.interval_s = interval_s
        self._watched = Watched(name, interval_s=interval_s)
        self._lock = threading.Lock()
        self._problem = ""
        self._seen_s = 0.0
        self._background = Background(self._read)

    @property
    def running(self) -> bool:
        """Whether the engine is being asked."""
        return self._background.running

    @property
    def connection(self) -> Connection:
        """The way to the engine."""
        return default_client(may_start=False).connection

    def begin(self) -> None:
        with self._lock:
            self.send(self._snapshot())
        self._background.start()

    def rest(self) -> None:
        self._background.stop()

    def picture(self) -> View:
        with self._lock:
            watched, problem = copy.deepcopy(self._watched), self._problem
            seen_s = self._seen_s
        if not watched.engine:
            problem, seen_s = self._look(watched), time.time()
        return MonitorPicture(watched, self.name, time_s=seen_s, problem=problem)

    def _look(self, watched: Watched) -> str:
        """Ask once; what went wrong, if it did."""
        try:
            status = default_client().connection.json("GET", "/api/status?sample=1", timeout_s=10.0)
            watched.apply({"type": "snapshot", "status": status}, time.time())
        except PyServeError as error:
            return error.message
        return ""

    def _read(self, run: Run) -> None:
        query = {"interval_s": f"{self.interval_s:g}"}
        # A name with a comma can't be asked for; then all come, and the others are not shown.
        if self.name is not None and "," not in self.name:
            query["models"] = self.name

        def line(event: Mapping[str, Any]) -> None:
            self._take(event)

        follow(run, lambda: f"/api/events?{urlencode(query)}", line, self._lost)

    def _take(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "ping":
            return
        with self._lock:
            known, engine = bool(self._watched.engine) and not self._problem, self._watched.engine
            self._seen_s, self._problem = time.time(), ""
            changes = self._watched.apply(event, self._seen_s)
            if not known:
                self.send(self._snapshot())
            else:
                tick: dict[str, Any] = {"type": "tick", "time_s": self._seen_s, "models": changes}
                if self._watched.engine != engine:
                    tick["engine"] = self._watched.engine
                self.send(tick)
        self.keep_picture(at_once=not known)

    def _lost(self, problem: str) -> None:
        if not problem:
            return  # the snapshot that follows says the rest
        with self._lock:
            self._problem = problem
        self.send({"type": "problem", "text": problem})

    def _snapshot(self) -> dict[str, Any]:
        return {
            "type": "snapshot",
            "name": self.name,
            "time_s": time.time(),
            "engine": self._watched.engine,
            "models": self._watched.everything(),
            "problem": self._problem,
        }
