"""Something that comes bit by bit, without end, in batches: for showing it now and then, and for stopping any time.

Owns the thread that reads; an interrupt, or the end of the time given, ends it quietly.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from jupyter_pyserve.errors import PyServeError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Source(Protocol[T_co]):
    """What is read; `close` wakes the thread that reads it."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None: ...


class Flow(Generic[T]):
    """Reads a source in a thread."""

    def __init__(
        self, source: Source[T], *, for_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._clock = clock
        self._end_s = None if for_s is None else clock() + for_s
        self._items: queue.SimpleQueue[T | PyServeError | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="pyserve-follow", daemon=True)
        self._thread.start()

    def batches(self, every_s: float) -> Iterator[list[T]]:
        """What has come since the last batch, as soon as there is something, but no oftener than that."""
        try:
            while (first := self._next()) is not None:
                time.sleep(every_s)
                batch, last = self._more(first)
                yield batch
                if last:
                    return
        except KeyboardInterrupt:
            return
        finally:
            self._source.close()
            self._thread.join(timeout=1.0)

    def _next(self) -> T | None:
        """The next item; None at the end of the source or of the time."""
        left = None if self._end_s is None else max(0.0, self._end_s - self._clock())
        try:
            return _checked(self._items.get(timeout=left))
        except queue.Empty:
            return None

    def _more(self, first: T) -> tuple[list[T], bool]:
        """All that is there already, and whether it was the last."""
        batch = [first]
        while not self._items.empty():
            item = _checked(self._items.get())
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _read(self) -> None:
        try:
            for item in self._source:
                self._items.put(item)
            self._items.put(None)
        except PyServeError as error:
            self._items.put(error)


def _checked(item: T | PyServeError | None) -> T | None:
    if isinstance(item, PyServeError):
        raise item
    return item
