from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jupyter_pyserve.notebook.payloads import LogRecord
from jupyter_pyserve.notebook.widgets.api import log_viewer
from jupyter_pyserve.notebook.widgets.log_viewer import KEPT, LogViewer
from tests.unit.notebook.fake_engine import FakeEngine
from tests.unit.notebook.widgets.conftest import FrontEnd


def record(seq: int, text: str = "hello\n", **changes: object) -> LogRecord:
    row = {"time": float(seq), "instance": "add_0", "stream": "log", "level": "INFO", "request": "", "text": text}
    return LogRecord(**{**row, "seq": seq, **changes})  # type: ignore[typeddict-item]


@pytest.fixture
def viewer(engine: FakeEngine, front_end: FrontEnd) -> LogViewer:
    engine.answer("GET", "/api/logs?tail=100", json={"records": []})
    live = log_viewer()
    live.show()
    return live


def test_lines_come_together(viewer: LogViewer, front_end: FrontEnd) -> None:
    viewer._take(record(1))
    viewer._take(record(2, "oops", stream="stderr", request="r"))
    assert front_end.of("lines") == []
    viewer._flush()
    (message,) = front_end.of("lines")
    assert message["lines"] == [[1.0, "add_0", "INFO", "", "hello"], [2.0, "add_0", "stderr", "r", "oops"]]


def test_they_are_sent_a_moment_later(viewer: LogViewer, front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[Timer] = []

    class Timer:
        def __init__(self, delay_s: float, work: Callable[[], None]) -> None:
            self.delay_s, self.work, self.daemon, self.starts = delay_s, work, False, 0
            timers.append(self)

        def start(self) -> None:
            self.starts += 1

    monkeypatch.setattr(threading, "Timer", Timer)
    viewer._take(record(1))
    viewer._take(record(2))
    (timer,) = timers
    assert (timer.daemon, timer.starts) == (True, 1)
    timer.work()
    assert len(front_end.of("lines")[0]["lines"]) == 2
    viewer._take(record(3))
    assert len(timers) == 2


def test_a_flood_is_bounded_and_says_so(viewer: LogViewer, front_end: FrontEnd) -> None:
    viewer._timer = threading.Timer(0, viewer._flush)  # one that is never started
    for number in range(3 * KEPT):
        viewer._take(record(number + 1, "x" * 10_000))
    viewer._flush()
    (message,) = front_end.of("lines")
    assert len(message["lines"]) == 500
    assert message["left_out"] == 3 * KEPT - 500
    assert len(message["lines"][0][4]) < 5_000
    assert len(viewer._records) == KEPT


def test_it_goes_on_behind_the_last_line(viewer: LogViewer) -> None:
    viewer._take(record(7))
    assert viewer._after == 7


def test_lines_that_are_known_do_not_come_twice(viewer: LogViewer, front_end: FrontEnd) -> None:
    viewer._take(record(7))
    viewer._heed("the engine has stopped")
    viewer._heed("")
    viewer._take(record(1, time=7.0))
    viewer._take(record(2, time=8.0))
    viewer._flush()
    assert [line[0] for line in front_end.of("lines")[0]["lines"]] == [7.0, 8.0]
    assert [message["text"] for message in front_end.of("problem")] == ["the engine has stopped; asking again …", ""]


def test_a_picture_is_the_last_lines_as_text(viewer: LogViewer, front_end: FrontEnd) -> None:
    for number in range(200):
        viewer._take(record(number + 1, f"<b>{number}</b>"))
    viewer.close()
    assert "&lt;b&gt;199&lt;" in front_end.html
    assert "&lt;b&gt;99&lt;" not in front_end.html


@pytest.mark.usefixtures("shell")
def test_in_a_terminal_it_is_the_log(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.answer("GET", "/api/models/add/logs?tail=100", json={"records": [record(1)]})
    log_viewer("add").show()
    assert capsys.readouterr().out.rstrip().endswith("INFO    hello")
