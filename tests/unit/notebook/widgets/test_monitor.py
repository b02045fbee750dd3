from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jupyter_pyserve.notebook.widgets.api import monitor
from jupyter_pyserve.notebook.widgets.monitor import Monitor
from tests.unit.notebook.fake_engine import ENGINE, MODEL, Answer, FakeEngine
from tests.unit.notebook.widgets.conftest import FrontEnd
from tests.unit.notebook.widgets.test_watched import delta, instance, model, snapshot


class Events:
    """A stream of the engine that waits for what a test says."""

    def __init__(self, engine: FakeEngine, path: str) -> None:
        self.open = threading.Semaphore(0)
        self._engine, self._path = engine, path
        self._more = threading.Event()

    def serve(self, *lines: bytes) -> None:
        self._engine.answers[f"GET {self._path}"] = lambda _: Answer(lines=self._lines(lines))

    def _lines(self, lines: tuple[bytes, ...]) -> Iterator[bytes]:
        yield from lines
        self.open.release()
        self._more.wait(30)

    def end(self) -> None:
        self._more.set()


def seen(live: Monitor) -> None:
    live._widget._handle_custom_msg({"type": "visible", "view": "v"}, [])


def test_asks_for_its_model_while_it_is_seen(engine: FakeEngine, front_end: FrontEnd) -> None:
    path = "/api/events?interval_s=2&models=add_one"
    engine.answer("GET", "/api/status?sample=1", json={"engine": ENGINE, "models": []})
    events = Events(engine, path)
    events.serve()
    live = monitor("add_one", interval_s=2)
    live.show()
    running = [live.running]
    seen(live)
    assert [message["models"] for message in front_end.of("snapshot")] == [{}]
    assert events.open.acquire(timeout=30)
    running.append(live.running)
    live.stop()
    assert [*running, live.running] == [False, True, False]
    events.end()


def test_a_tick_is_what_has_changed(engine: FakeEngine, front_end: FrontEnd) -> None:
    engine.answer("GET", "/api/status?sample=1", json={"engine": ENGINE, "models": []})
    live = Monitor()
    live.show()
    live._take(snapshot(model("add", instance("a"), instance("b"))))
    live._take(delta(add={"instances": {"b": {"requests": 9}}}))
    live._take({"type": "ping"})
    first, tick = front_end.of("snapshot")[-1], front_end.of("tick")
    assert set(first["models"]["add"]["instances"]) == {"a", "b"}
    assert [message["models"]["add"]["instances"] for message in tick] == [{"b": {"requests": 9}}]
    assert "engine" not in tick[0]


def test_a_problem_is_told_and_the_next_line_is_everything(engine: FakeEngine, front_end: FrontEnd) -> None:
    engine.answer("GET", "/api/status?sample=1", json={"engine": ENGINE, "models": []})
    live = Monitor()
    live.show()
    live._take(snapshot(model()))
    live._lost("the engine has stopped")
    assert front_end.of("problem") == [{"type": "problem", "text": "the engine has stopped"}]
    live.keep_picture()
    assert "the engine has stopped" in front_end.html
    live._take(snapshot(model()))
    assert front_end.sent[-1]["type"] == "snapshot"
    assert front_end.sent[-1]["problem"] == ""


@pytest.mark.usefixtures("shell")
def test_in_a_terminal_it_is_a_table(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    row = {**MODEL, "instances": [{**instance("add_one_0")}]}
    engine.answer("GET", "/api/status?sample=1", json={"engine": ENGINE, "models": [row]})
    monitor("add_one").show()
    assert "add_one_0  READY  7" in capsys.readouterr().out


@pytest.mark.usefixtures("shell")
def test_without_an_engine_it_says_so(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("GET", "/api/status?sample=1", status=503, json={"error": "the engine is starting"})
    monitor().show()
    assert capsys.readouterr().out == "the engine is starting\n"
