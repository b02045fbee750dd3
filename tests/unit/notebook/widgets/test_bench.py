from __future__ import annotations

import threading

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.measuring.api import Progress
from jupyter_pyserve.notebook.measuring.result import BenchResult, level_of
from jupyter_pyserve.notebook.widgets import bench as module
from jupyter_pyserve.notebook.widgets.bench import Bench
from tests.unit.notebook.widgets.conftest import FrontEnd
from tests.unit.notebook.widgets.waiting import live_threads_end

LEVEL = level_of(2, [0.001] * 4, 1.0, [])


def fake(name: str, **options: object) -> BenchResult:
    tell = options.get("on_progress")
    if callable(tell):
        tell(Progress(concurrency=4, share=0.5, levels=(LEVEL,)))
    stop = options.get("stop")
    note = ""
    if options.get("duration_s") == 600:
        assert isinstance(stop, threading.Event)
        assert stop.wait(30)
        note = "stopped before its end"
    return BenchResult(name, [LEVEL], via="lane", note=note)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "bench", fake)


def test_it_begins_when_it_is_shown_and_tells_how_far_it_is(front_end: FrontEnd) -> None:
    live = Bench("add", {})
    live.show()
    live_threads_end()
    live._widget._handle_custom_msg({"type": "visible", "view": "v"}, [])
    state = front_end.of("state")[-1]
    assert (state["running"], state["via"], state["levels"][0]["requests"]) == (False, "lane", 4)
    assert "4 requests per second at most" in front_end.html
    assert live.result is not None


def test_it_can_be_cancelled(front_end: FrontEnd) -> None:
    live = Bench("add", {"duration_s": 600})
    live.show()
    live._widget._handle_custom_msg({"type": "cancel", "view": "v"}, [])
    live_threads_end()
    assert front_end.of("state")[-1]["note"] == "stopped before its end"
    live._options = {}
    live._widget._handle_custom_msg({"type": "start", "view": "v"}, [])
    live_threads_end()
    assert front_end.of("state")[-1]["note"] == ""


def test_an_error_is_shown(front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **options: object) -> BenchResult:
        raise PyServeError(Code.NOT_FOUND, "<b>unknown</b>")

    monkeypatch.setattr(module, "bench", fail)
    Bench("add", {}).show()
    live_threads_end()
    assert front_end.of("state")[-1]["error"] == "<b>unknown</b>"
    assert "&lt;b&gt;unknown" in front_end.html


@pytest.mark.usefixtures("shell")
def test_a_terminal_waits_for_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Bench("add", {}).show()
    assert capsys.readouterr().out.startswith("add: over lane: 4 requests per second at most")
