"""One deployment seen from the kernel: its events in the calling thread for a while, in the background after that.

Owns the thread that listens and the way an interrupt ends it; draws nothing and knows no cells.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterator

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.control import DeployStream
from jupyter_pyserve.notebook.payloads import DeployEvent

Clock = Callable[[], float]


class Deployment:
    """Reads a `DeployStream` in a thread, so that waiting for it can end before it does."""

    def __init__(self, stream: DeployStream, *, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._events: queue.SimpleQueue[DeployEvent | PyServeError] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, name="pyserve-deploy", daemon=True)
        self._thread.start()

    def events(self, wait_s: float | None = None) -> Iterator[DeployEvent]:
        """The events, until the last one or until `wait_s` is over. An interrupt ends the listening, too."""
        deadline = None if wait_s is None else self._clock() + wait_s
        try:
            while True:
                left = None if deadline is None else max(0.0, deadline - self._clock())
                try:
                    event = self._events.get(timeout=left)
                except queue.Empty:
                    return
                if isinstance(event, PyServeError):
                    raise event
                yield event
                if event["event"] != "progress":
                    return
        except KeyboardInterrupt:
            self.abandon()
            raise

    def continue_in_background(self, on_event: Callable[[DeployEvent], None]) -> threading.Thread:
        """Hand what still comes to `on_event`, in a thread that writes to the cell it was started in."""

        def follow() -> None:
            for event in self.events():
                on_event(event)

        thread = threading.Thread(
            target=contextvars.copy_context().run, args=(follow,), name="pyserve-deploy-view", daemon=True
        )
        thread.start()
        return thread

    def abandon(self) -> None:
        """Stop listening now; what has begun, the engine ends by itself, in one state or the other."""
        self._stream.close()
        self._thread.join(timeout=1.0)

    def _listen(self) -> None:
        try:
            for event in self._stream:
                self._events.put(event)
        except PyServeError as error:
            self._events.put(error)
