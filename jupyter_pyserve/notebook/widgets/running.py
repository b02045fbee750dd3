"""A thread that works while somebody looks: started, ended from outside at any moment, never two at once.

Knows nothing of what it reads beyond that reading can be broken off.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Protocol


class Breakable(Protocol):
    """What a thread may hang in."""

    def close(self) -> None: ...


class Run:
    """One time of working; `over` is set when it is to end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._held: Breakable | None = None
        self._lock = threading.Lock()

    def hold(self, stream: Breakable) -> None:
        """What to break off at the end; broken off at once if that has come."""
        with self._lock:
            self._held = stream
            ended = self.over.is_set()
        if ended:
            stream.close()

    def end(self) -> None:
        with self._lock:
            self.over.set()
            held = self._held
        if held is not None:
            held.close()


class Background:
    """Runs of one piece of work, each in a thread of its own; a run that is to end is not waited for."""

    def __init__(self, work: Callable[[Run], None]) -> None:
        self._work = work
        self._run: Run | None = None

    @property
    def running(self) -> bool:
        return self._run is not None

    def start(self) -> None:
        """Work, unless that goes on already."""
        if self._run is not None:
            return
        run = self._run = Run()
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._do, run), name="pyserve-live-view", daemon=True).start()

    def stop(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.end()

    def _do(self, run: Run) -> None:
        try:
            self._work(run)
        finally:
            if self._run is run:
                self._run = None
