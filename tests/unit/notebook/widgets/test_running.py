from __future__ import annotations

import threading

from jupyter_pyserve.notebook.widgets.running import Background, Run


class Stream:
    """Hangs until it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_a_stream_that_is_held_is_closed_at_the_end() -> None:
    run, stream = Run(), Stream()
    run.hold(stream)
    assert not stream.closed.is_set()
    run.end()
    assert stream.closed.is_set()


def test_a_stream_that_comes_too_late_is_closed_at_once() -> None:
    run, stream = Run(), Stream()
    run.end()
    run.hold(stream)
    assert stream.closed.is_set()


def test_one_run_at_a_time_and_a_new_one_after_it() -> None:
    runs: list[Run] = []
    begun = threading.Semaphore(0)

    def work(run: Run) -> None:
        runs.append(run)
        begun.release()
        run.over.wait(30)

    background = Background(work)
    background.start()
    background.start()
    assert begun.acquire(timeout=30)
    assert background.running
    background.stop()
    background.start()
    assert begun.acquire(timeout=30)
    background.stop()
    assert [run.over.is_set() for run in runs] == [True, True]


def test_work_that_ends_by_itself_is_over() -> None:
    ended = threading.Event()
    background = Background(lambda run: ended.set())
    background.start()
    assert ended.wait(30)
    for thread in threading.enumerate():
        if thread.name == "pyserve-live-view":
            thread.join(30)
    assert not background.running
