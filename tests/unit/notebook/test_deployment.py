from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.deployment import Deployment
from jupyter_pyserve.notebook.payloads import DeployEvent

PROGRESS: DeployEvent = {"event": "progress", "stage": "write"}
READY: DeployEvent = {"event": "ready"}


class FakeStream:
    """A stream that is fed by hand."""

    def __init__(self, *events: DeployEvent | PyServeError) -> None:
        self.queue: queue.SimpleQueue[DeployEvent | PyServeError | None] = queue.SimpleQueue()
        self.closed = False
        for event in events:
            self.queue.put(event)

    def __iter__(self) -> Iterator[DeployEvent]:
        while (event := self.queue.get()) is not None:
            if isinstance(event, PyServeError):
                raise event
            yield event

    def close(self) -> None:
        self.closed = True
        self.queue.put(None)


def _deployment(stream: Any, **options: Any) -> Deployment:
    return Deployment(stream, **options)


def test_events_until_the_last() -> None:
    stream = FakeStream(PROGRESS, READY)
    assert list(_deployment(stream).events()) == [PROGRESS, READY]
    stream.close()


def test_a_failure_of_the_stream_is_raised_where_the_events_are_awaited() -> None:
    events = _deployment(FakeStream(PROGRESS, PyServeError(Code.UNAVAILABLE, "gone"))).events()
    assert next(events) == PROGRESS
    with pytest.raises(PyServeError, match="gone"):
        next(events)


def test_waiting_ends_at_its_time_and_the_rest_comes_in_the_background() -> None:
    stream, now = FakeStream(PROGRESS), iter([0.0, 0.0, 60.0])
    deployment = _deployment(stream, clock=lambda: next(now))
    events = deployment.events(30.0)
    assert next(events) == PROGRESS
    assert list(events) == []
    seen: queue.SimpleQueue[DeployEvent] = queue.SimpleQueue()
    thread = deployment.continue_in_background(seen.put)
    stream.queue.put(READY)
    assert seen.get(timeout=10) == READY
    thread.join(10)
    stream.close()


def test_an_interrupt_closes_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = FakeStream(PROGRESS)
    events = _deployment(stream).events()
    next(events)
    with pytest.raises(KeyboardInterrupt):
        events.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert stream.closed
