from __future__ import annotations

from jupyter_pyserve.notebook.widgets.monitor_picture import MonitorPicture
from jupyter_pyserve.notebook.widgets.watched import Watched
from tests.unit.notebook.widgets.test_watched import delta, instance, model, snapshot


def picture(watched: Watched, what: str | None = None, problem: str = "") -> MonitorPicture:
    return MonitorPicture(watched, what, time_s=0.0, problem=problem)


def test_has_a_line_for_each_process_and_reasons_once() -> None:
    watched = Watched()
    watched.apply(snapshot(model("add", instance("a"), instance("b", cpu_percent=None))), 1.0)
    plain = picture(watched).plain()
    assert "add: READY, 1 requests, 0 failures, 0 waiting, p50 1 ms, p99 2 ms" in plain
    assert "a         READY  7    1         0         1 ms  2 ms  100 B         2.0 %" in plain
    assert plain.count("gpu: no driver") == 1


def test_plots_are_there_as_soon_as_they_show_something() -> None:
    watched = Watched()
    watched.apply(snapshot(model()), 1.0)
    assert picture(watched)._repr_html_().count("<img") == 1  # batch sizes
    watched.apply(delta(add={"queue_depth": 1}), 2.0)
    assert picture(watched)._repr_html_().count("<img") == 5


def test_strange_names_stay_text() -> None:
    watched = Watched()
    watched.apply(snapshot(model("<script>", instance("<b>", unavailable={"gpu": "<i>"}))), 1.0)
    html = picture(watched, problem="<u>")._repr_html_()
    for tag in ("<script>", "<b><", "<i>", "<u>"):
        assert tag not in html


def test_says_what_is_not_there() -> None:
    assert picture(Watched(), problem="no engine").plain() == "no engine"
    watched = Watched("add")
    watched.apply(snapshot(), 1.0)
    assert picture(watched, "add").plain().endswith("there is no model 'add'")
    assert picture(watched).plain().endswith("no models yet")
