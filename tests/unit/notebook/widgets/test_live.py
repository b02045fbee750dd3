from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, element
from jupyter_pyserve.notebook.widgets.live import Live, stop_all
from jupyter_pyserve.notebook.widgets.scripts import script, style
from tests.unit.notebook.widgets.conftest import FrontEnd


class Still(View):
    def __init__(self, text: str) -> None:
        self.text = text

    def html(self) -> Markup:
        return element("p", self.text)

    def plain(self) -> str:
        return self.text


class Clock(Live):
    """Says what happens to it."""

    kind = "monitor"

    def __init__(self) -> None:
        super().__init__()
        self.text = "first"
        self.events: list[str] = []

    def picture(self) -> View:
        return Still(self.text)

    def begin(self) -> None:
        self.events.append("begin")

    def rest(self) -> None:
        self.events.append("rest")

    def received(self, content: Mapping[str, Any]) -> None:
        self.events.append(str(content["type"]))

    def hear(self, kind: str, view: str = "v") -> None:
        self._widget._handle_custom_msg({"type": kind, "view": view}, [])


@pytest.fixture
def clock(front_end: FrontEnd) -> Clock:
    live = Clock()
    live.show()
    return live


def test_a_view_and_a_picture_are_two_outputs(clock: Clock, front_end: FrontEnd) -> None:
    view, picture = front_end.outputs.values()
    assert view in front_end.views
    assert "text/html" not in view  # who knows no views would show it twice
    assert picture["text/plain"] == "first"
    assert f'<div class="{clock.id} pyserve-picture">' in picture["text/html"]


def test_a_view_brings_its_script_and_its_style(clock: Clock) -> None:
    assert clock._widget._esm == script("monitor")
    assert clock._widget._css == style()


def test_only_the_newest_question_counts(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible", "a")
    clock.hear("visible", "b")
    front_end.kernel.io_loop.turn()
    assert len(front_end.of("there?")) == 1


def test_who_has_gone_is_not_asked(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible")
    clock.hear("hidden")
    front_end.kernel.io_loop.turn()
    assert front_end.of("there?") == []


def test_works_while_any_view_is_seen(clock: Clock) -> None:
    clock.hear("visible", "a")
    clock.hear("visible", "b")
    clock.hear("hidden", "a")
    assert clock.events == ["begin", "begin"]
    clock.hear("hidden", "b")
    assert clock.events[-1] == "rest"


def test_the_picture_is_renewed_when_nobody_looks(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible")
    clock.text = "second"
    assert "second" not in front_end.html
    clock.hear("hidden")
    assert "second" in front_end.html


def test_a_recent_picture_is_good_enough(clock: Clock, front_end: FrontEnd) -> None:
    clock.text = "second"
    clock.keep_picture(at_once=False)
    assert "second" not in front_end.html
    clock._pictured_s -= 3600
    clock.keep_picture(at_once=False)
    assert "second" in front_end.html


def test_other_messages_are_for_the_view(clock: Clock) -> None:
    clock.hear("press")
    clock._widget._handle_custom_msg("nonsense", [])
    assert clock.events == ["press"]


def test_closed_only_the_picture_is_left(clock: Clock, front_end: FrontEnd) -> None:
    clock.text = "last"
    clock.close()
    clock.close()
    assert front_end.views == []
    assert "last" in front_end.html
    clock.send({"type": "into the void"})
    assert front_end.of("into the void") == []


def test_an_interrupt_stops_what_is_seen(clock: Clock, front_end: FrontEnd) -> None:
    stop_all()
    assert front_end.of("stopped") == []
    clock.hear("visible")
    stop_all()
    assert front_end.of("stopped") == [{"type": "stopped"}]
    assert clock.events[-1] == "rest"


def test_a_cell_that_runs_again_closes_what_it_showed(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible")
    beside = Clock()
    beside.show()
    assert clock._widget is not None
    front_end.kernel.request = 2
    other = Clock()
    other.show()
    assert clock._widget is beside._widget is None
    assert clock.events == ["begin", "rest"]
    front_end.kernel.cell, front_end.kernel.request = "cell-2", 3
    Clock().show()
    assert other._widget is not None


def test_a_page_that_is_gone_is_found_out(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible")
    front_end.kernel.io_loop.turn()
    assert front_end.of("there?")
    front_end.kernel.io_loop.turn()
    front_end.kernel.io_loop.turn()
    assert clock.events == ["begin", "rest"]


def test_a_page_that_answers_goes_on(clock: Clock, front_end: FrontEnd) -> None:
    clock.hear("visible")
    for _ in range(3):
        front_end.kernel.io_loop.turn()
        clock.hear("here")
        front_end.kernel.io_loop.turn()
        front_end.kernel.io_loop.turn()
    assert clock.events == ["begin"]
    assert len(front_end.of("there?")) == 3


@pytest.mark.usefixtures("shell")
def test_a_terminal_gets_the_picture_once(capsys: pytest.CaptureFixture[str]) -> None:
    live = Clock()
    live.show()
    assert capsys.readouterr().out == "first\n"
    assert repr(live) == "first"
