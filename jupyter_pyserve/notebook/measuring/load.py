"""A closed loop: so many threads, each with one request under way, for so long. Knows calls, not models.

What is measured includes this kernel's own share of the work: its threads take turns, as Python's do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jupyter_pyserve.errors import PyServeError
from jupyter_pyserve.notebook.measuring.result import Level, level_of

#: Of a level's time, before requests count.
_WARM_UP = 0.1
_LOOK_S = 0.1

Call = Callable[[], object]


class _Worker:
    """One that asks again when it has been answered."""

    def __init__(self, call: Call, begin_s: float, end_s: float, stop: threading.Event) -> None:
        self.latencies_s: list[float] = []
        self.errors: list[str] = []
        self.fault: BaseException | None = None
        self._call = call
        self._begin_s, self._end_s = begin_s, end_s
        self._stop = stop
        self.thread = threading.Thread(target=self._run, name="pyserve-bench", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                began_s = time.perf_counter()
                if began_s >= self._end_s:
                    return
                self._ask(began_s)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            self.fault = error
            self._stop.set()

    def _ask(self, began_s: float) -> None:
        try:
            self._call()
        except PyServeError as error:
            self.errors.append(error.message)
            self._stop.wait(0.01)  # one that is refused at once would ask for nothing but refusals
            return
        if began_s >= self._begin_s:
            self.latencies_s.append(time.perf_counter() - began_s)


def run_level(
    call: Call, concurrency: int, duration_s: float, *, stop: threading.Event, on_time: Callable[[float], None]
) -> Level | None:
    """One level; None if it was stopped before its end. `on_time` hears every now and then what share is over."""
    first_s = time.perf_counter()
    begin_s, end_s = first_s + duration_s * _WARM_UP, first_s + duration_s * (1 + _WARM_UP)
    halt = threading.Event()
    workers = [_Worker(call, begin_s, end_s, halt) for _ in range(concurrency)]
    for worker in workers:
        worker.thread.start()
    try:
        while any(worker.thread.is_alive() for worker in workers) and not stop.is_set():
            on_time(min(1.0, (time.perf_counter() - first_s) / (end_s - first_s)))
            next((worker.thread for worker in workers if worker.thread.is_alive()), workers[0].thread).join(_LOOK_S)
    finally:
        halt.set()
    faults = [worker.fault for worker in workers if worker.fault is not None]
    if faults:
        raise faults[0]
    if stop.is_set():
        return None
    found_s = time.perf_counter() - begin_s
    latencies = [value for worker in workers for value in worker.latencies_s]
    return level_of(concurrency, latencies, found_s, [error for worker in workers for error in worker.errors])
