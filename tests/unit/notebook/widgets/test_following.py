from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from jupyter_pyserve.notebook.widgets import following
from jupyter_pyserve.notebook.widgets.following import follow
from jupyter_pyserve.notebook.widgets.running import Run
from tests.unit.notebook.fake_engine import Answer, FakeEngine, Request


def test_asks_again_when_a_stream_breaks_off(engine: FakeEngine) -> None:
    run = Run()
    seen: list[object] = []
    problems: list[str] = []
    engine.answer("GET", "/api/events?from=0", lines=[b'{"n":1}\n'])
    engine.answer("GET", "/api/events?from=1", lines=[b'{"n":2}\n'])

    def line(event: object) -> None:
        seen.append(event)
        if len(seen) == 2:
            run.end()

    follow(run, lambda: f"/api/events?from={len(seen)}", line, problems.append)
    assert seen == [{"n": 1}, {"n": 2}]
    assert problems == ["the engine has stopped", ""]


def test_an_error_is_told_and_no_end(engine: FakeEngine) -> None:
    run = Run()
    problems: list[str] = []

    def problem(text: str) -> None:
        problems.append(text)
        engine.answer("GET", "/api/events", lines=[b"{}\n"])

    engine.answer("GET", "/api/events", status=503, json={"error": "starting"})
    follow(run, lambda: "/api/events", lambda _: run.end(), problem)
    assert problems == ["starting", ""]


def test_an_end_wakes_who_reads(engine: FakeEngine) -> None:
    run = Run()

    def lines() -> Iterator[bytes]:
        yield json.dumps({"n": 1}).encode() + b"\n"
        run.over.wait(30)

    def answer(request: Request) -> Answer:
        return Answer(lines=lines())

    engine.answers["GET /api/events"] = answer
    follow(run, lambda: "/api/events", lambda _: run.end(), lambda text: None)
    assert run.over.is_set()


def test_it_waits_longer_each_time_up_to_a_limit(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run()
    waits: list[float] = []

    def wait(timeout_s: float) -> bool:
        waits.append(timeout_s)
        if len(waits) == 9:
            run.end()
        if len(waits) == 7:
            engine.answer("GET", "/api/events", lines=[b"{}\n"])
        return False

    monkeypatch.setattr(run.over, "wait", wait)
    engine.answer("GET", "/api/events", status=503, json={"error": "starting"})
    follow(run, lambda: "/api/events", lambda _: None, lambda text: None)
    first, most = following._FIRST_PAUSE_S, following._LONGEST_PAUSE_S
    assert waits == [first, *(min(first * 2**power, most) for power in range(1, 7)), first, first]
    assert waits.count(most) > 1


def test_an_end_breaks_off_what_is_silent(engine: FakeEngine) -> None:
    run, begun, hold = Run(), threading.Event(), threading.Event()

    def lines() -> Iterator[bytes]:
        yield b"{}\n"
        hold.wait(30)

    engine.answers["GET /api/events"] = lambda request: Answer(lines=lines())
    reader = threading.Thread(
        target=follow, args=(run, lambda: "/api/events", lambda _: begun.set(), lambda text: None)
    )
    reader.start()
    assert begun.wait(30)
    run.end()
    reader.join(20)
    alive = reader.is_alive()
    hold.set()
    reader.join()
    assert not alive
