"""A monitor's state as a still picture: tables of text and plots, for a saved notebook or a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, columns, element, table
from jupyter_pyserve.notebook.plots import bars, image, lines
from jupyter_pyserve.notebook.widgets.watched import Point, Watched

_HEADER = ("instance", "state", "pid", "requests", "failures", "p50", "p99", "memory (PSS)", "CPU", "GPU")


class MonitorPicture(View):
    """How it was at one moment."""

    def __init__(self, watched: Watched, what: str | None, *, time_s: float, problem: str = "") -> None:
        self._watched = watched
        self._what = what
        self._time_s = time_s
        self._problem = problem

    def html(self) -> Markup:
        parts = [element("div", line) for line in self._lines()]
        for name, row in self._watched.models.items():
            title = element("div", element("b", name), f" {_title(row)}", style="margin-top:0.6em")
            plots = element("div", *_plots(row, list(self._watched.history.get(name, ()))))
            parts += [title, plots, table(_HEADER, _rows(row)), element("div", _reasons(row), style="opacity:0.7")]
        return element("div", *parts)

    def plain(self) -> str:
        parts = ["\n".join(self._lines())]
        for name, row in self._watched.models.items():
            grid = columns([word.upper() for word in _HEADER], _rows(row))
            parts.append("\n".join(filter(None, [f"{name}: {_title(row)}", grid, _reasons(row)])))
        return "\n\n".join(parts)

    def _lines(self) -> list[str]:
        engine = self._watched.engine
        if not engine:
            return [self._problem or "nothing is known of the engine yet"]
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._time_s))
        words = [f"engine {engine['state']}, pid {engine['pid']}", f"as it was at {clock}"]
        if engine["cpu_percent"] is not None:
            words.insert(1, f"CPU {figures.percent(engine['cpu_percent'])}, memory {_nbytes(engine['pss_bytes'])}")
        if not self._watched.models:
            words.append(f"there is no model '{self._what}'" if self._what else "no models yet")
        return [", ".join(words), *([self._problem] if self._problem else [])]


def _title(row: dict[str, Any]) -> str:
    reason = f" ({row['reason']})" if row["reason"] else ""
    words = [f"{row['state']}{reason}"]
    words += [f"{figures.number(row['success'])} requests", f"{figures.number(row['failure'])} failures"]
    words.append(f"{row['queue_depth'] or 0} waiting")
    if row["p50_ms"] is not None:
        words.append(f"p50 {_ms(row['p50_ms'])}, p99 {_ms(row['p99_ms'])}")
    return ", ".join(words)


def _plots(row: dict[str, Any], points: Sequence[Point]) -> list[Markup]:
    def over_time(field: str) -> list[tuple[float, float]]:
        return [(point.time_s, value) for point in points if (value := getattr(point, field)) is not None]

    style = "display:inline-block;margin-right:1em;font-size:0.85em"
    sizes = {int(size): int(count) for size, count in row["batch_sizes"].items()}
    curves = {
        "requests per second": ("requests",),
        "latency, p50 and p99": ("p50_ms", "p99_ms"),
        "memory": ("memory_nbytes",),
        "CPU": ("cpu_percent",),
    }
    shown = [
        (title, lines(found)) for title, fields in curves.items() if len((found := [*map(over_time, fields)])[0]) > 1
    ]
    if sizes:
        shown.append(("batch sizes", bars(sizes)))
    return [element("div", element("div", title), image(svg, title, width=220), style=style) for title, svg in shown]


def _rows(row: dict[str, Any]) -> list[tuple[object, ...]]:
    return [
        (
            item["name"],
            item["state"],
            item["pid"],
            figures.shown(item["requests"], figures.number),
            figures.shown(item["failures"], figures.number),
            _ms(item["p50_ms"]),
            _ms(item["p99_ms"]),
            _nbytes(item["memory"]),
            figures.shown(item["cpu"], figures.percent),
            _nbytes(item["gpu"]),
        )
        for item in row["instances"].values()
    ]


def _reasons(row: dict[str, Any]) -> str:
    """Why figures are missing, each reason once."""
    found = {f"{field}: {why}": None for item in row["instances"].values() for field, why in item["why"].items()}
    return "; ".join(found)


def _ms(value: float | None) -> str:
    return figures.shown(value, figures.milliseconds)


def _nbytes(value: float | None) -> str:
    return figures.shown(value, figures.nbytes)
