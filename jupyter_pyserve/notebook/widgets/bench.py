"""`pyserve.bench_widget`: a benchmark that goes on beside the cells, with its progress, plot and a way to end it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, element
from jupyter_pyserve.notebook.measuring.api import Progress, bench
from jupyter_pyserve.notebook.measuring.result import BenchResult
from jupyter_pyserve.notebook.widgets import front_end
from jupyter_pyserve.notebook.widgets.live import Live
from jupyter_pyserve.notebook.widgets.running import Background, Run


class Bench(Live):
    """Begins when it is shown first; hidden or not, it goes on to its end. `result` is what it found."""

    kind = "bench"

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.name = name
        self.result: BenchResult | None = None
        self._options = dict(options)
        self._progress: Progress | None = None
        self._error = ""
        self._stopping = threading.Event()
        self._background = Background(self._measure)

    @property
    def running(self) -> bool:
        return self._background.running

    def show(self) -> None:
        live = front_end.is_there()
        if not live and self.result is None:
            self.result = bench(self.name, **self._options)
        super().show()
        if live and self.result is None and not self._error:
            self._start()

    def stop(self) -> None:
        """End it with what was found until now."""
        self._stopping.set()

    def close(self) -> None:
        self._stopping.set()
        super().close()

    def begin(self) -> None:
        self.send(self._state())

    def received(self, content: Mapping[str, Any]) -> None:
        if content.get("type") == "cancel":
            self.stop()
        elif content.get("type") == "start":
            self._start()

    def picture(self) -> View:
        return self.result or _Unfinished(self.name, self._error, self._progress)

    def _start(self) -> None:
        if not self._background.running:
            self._stopping = threading.Event()
            self.result, self._error, self._progress = None, "", None
            self._background.start()

    def _measure(self, run: Run) -> None:
        try:
            self.result = bench(self.name, **self._options, on_progress=self._tell, stop=self._stopping)
        except PyServeError as error:
            self._error = error.message
        except (TypeError, ValueError) as error:  # of what was given as inputs
            self._error = str(error)
        self.send({**self._state(), "running": False})
        self.keep_picture()

    def _tell(self, progress: Progress) -> None:
        self._progress = progress
        self.send(self._state())

    def _state(self) -> dict[str, Any]:
        progress, result = self._progress, self.result
        levels = result.levels if result is not None else progress.levels if progress is not None else ()
        return {
            "type": "state",
            "name": self.name,
            "running": self._background.running and result is None and not self._error,
            "share": progress.share if progress is not None else 0.0,
            "concurrency": progress.concurrency if progress is not None else None,
            "levels": [level.to_dict() for level in levels],
            "via": result.via if result is not None else "",
            "note": result.note if result is not None else "",
            "error": self._error,
        }


class _Unfinished(View):
    """A benchmark that goes on, or that could not be made."""

    def __init__(self, name: str, error: str, progress: Progress | None) -> None:
        self._name = name
        self._error = error
        self._found = BenchResult(name, progress.levels, via="…", note="not finished") if progress else None

    def html(self) -> Markup:
        if self._error or self._found is None:
            return element("div", self.plain())
        return self._found.html()

    def plain(self) -> str:
        if self._error or self._found is None:
            return f"{self._name}: {self._error or 'is being measured'}"
        return self._found.plain()
