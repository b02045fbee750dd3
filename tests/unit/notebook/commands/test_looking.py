from __future__ import annotations

import json
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from jupyter_pyserve.notebook.commands import looking
from jupyter_pyserve.notebook.widgets import front_end
from tests.unit.notebook.commands.conftest import Typed
from tests.unit.notebook.fake_engine import ENGINE, MODEL, FakeEngine

FOLLOWED = "/api/models/add_one/logs?tail=2&search=Boom&follow=1"
LINES = [json.dumps({"text": text, "instance": "add_one_0", "stream": "stdout"}).encode() + b"\n" for text in "abc"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_SHOWN_EVERY_S", 0.0)
    monkeypatch.setattr(looking, "_GLANCE_S", 0.0)


def test_a_terminal_gets_each_followed_line_once(engine: FakeEngine, typed: Typed) -> None:
    engine.answer("GET", FOLLOWED, lines=LINES)
    shown = typed("logs add_one -f -n 2 --grep Boom")
    assert [line.split()[-1] for line in shown.splitlines()] == ["a", "b", "c"]


def test_a_notebook_gets_one_output_with_the_newest(engine: FakeEngine, shell: InteractiveShell) -> None:
    engine.answer("GET", FOLLOWED, lines=LINES)
    shell.kernel = object()  # type: ignore[attr-defined]
    with capture_output() as captured:
        shell.run_line_magic("pyserve", "logs add_one -f -n 2 --grep Boom")
    texts = [output.data["text/plain"] for output in captured.outputs]
    assert len({output.transient["display_id"] for output in captured.outputs}) == 1
    assert "interrupt the kernel to end it" in texts[0]
    assert [line.split()[-1] for line in texts[-1].splitlines()] == ["b", "c"]


def test_following_ends_with_its_time(engine: FakeEngine, typed: Typed) -> None:
    engine.answer("GET", "/api/models/add_one/logs?tail=50&follow=1", lines=LINES)
    assert "c" in typed("logs add_one --for 60")  # the log has ended before
    assert "'soon' is not a number of seconds" in typed("logs add_one --for soon")


def sampled(engine: FakeEngine, **more: Any) -> None:
    row = {**MODEL["instances"][0], "cpu_percent": 12.0, **more}  # type: ignore[index]
    engine.answer("GET", "/api/status?sample=1", json={"engine": ENGINE, "models": [{**MODEL, "instances": [row]}]})


def test_top(engine: FakeEngine, typed: Typed) -> None:
    sampled(engine)
    once = typed("top add_one --once")
    assert once.splitlines()[1].split() == ["add_one", "add_one_0", "4711", "READY", "0", "0", "12", "%", "1"]
    assert "unknown model: 'nope'" in typed("top nope --once")
    assert typed("top --for 0 --text") == ""
    assert "4711" in typed("top --for 0.01 --interval 0.01 --text")


def test_top_is_a_widget_where_one_is_drawn(
    engine: FakeEngine, shell: InteractiveShell, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled(engine)
    monkeypatch.setattr(front_end, "is_there", lambda: True)
    monkeypatch.setattr(looking, "monitor", lambda name, interval_s: f"{name} every {interval_s} s")
    with capture_output() as captured:
        shell.run_line_magic("pyserve", "top add_one --interval 2")
    assert "add_one every 2.0 s" in captured.outputs[0].data["text/plain"]
    assert "4711" in typed("top --once")


def test_shared_arrays(engine: FakeEngine, typed: Typed) -> None:
    assert "no array is shared" in typed("shared")
