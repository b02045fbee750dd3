"""Small plots as SVG: lines over time, bars of counts, and latency over throughput. Values in, text out.

A saved notebook is also read where inline SVG is taken out, so a plot can be had as an image that carries itself; its
colours have to do on light and on dark ground.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.markup import Markup, text

Points = Sequence[tuple[float, float]]

COLOURS = ("#1e88e5", "#e6761e", "#43a047")
_GREY = "#888888"
_FONT = "font-family:sans-serif;font-size:10px"
_MAX_BARS = 16


def tag(name: str, attributes: Mapping[str, object], *children: object) -> Markup:
    """One element; names are ours, values and children may be anybody's."""
    written = "".join(f' {key}="{text(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>{''.join(text(child) for child in children)}</{name}>")


def image(svg: Markup, alt: str, *, width: int) -> Markup:
    """A plot as an image within the page."""
    data = base64.b64encode(svg.encode()).decode()
    return Markup(f'<img width="{width}" alt="{text(alt)}" src="data:image/svg+xml;base64,{data}">')


def lines(series: Sequence[Points], *, width: int = 220, height: int = 40) -> Markup:
    """Lines that share their axes, without scales; the newest point is on the right."""
    points = [point for one in series for point in one]
    if not points:
        return _picture(width, height)
    place = _Scale([x for x, _ in points], [0.0, *(y for _, y in points)], (2, width - 2), (height - 2, 4))
    drawn = [
        tag(
            "polyline",
            {"points": place.path(one), "fill": "none", "stroke": colour, "stroke-width": 1.5},
        )
        for one, colour in zip(series, COLOURS)
    ]
    return _picture(width, height, *drawn)


def bars(counts: Mapping[int, int], *, width: int = 220, height: int = 40) -> Markup:
    """How often each number came, the largest numbers if there are too many."""
    shown = sorted(counts.items())[-_MAX_BARS:]
    most = max((count for _, count in shown), default=0) or 1
    step = min(28.0, width / max(len(shown), 1))
    drawn: list[Markup] = []
    for place, (number, count) in enumerate(shown):
        tall = max(1.0, (height - 14) * count / most)
        bar = {"x": round(place * step + 1, 1), "y": round(height - 12 - tall, 1), "width": round(step - 3, 1)}
        drawn.append(tag("rect", {**bar, "height": round(tall, 1), "fill": COLOURS[0]}))
        drawn.append(_label(place * step + step / 2 - 1, height - 2, number))
    return _picture(width, height, *drawn)


def latency_throughput(
    curves: Mapping[str, Points], labels: Sequence[object], *, width: int = 480, height: int = 260
) -> Markup:
    """Latencies in ms over requests per second, one curve for each percentile; `labels` are the first one's points'."""
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return _picture(width, height, _label(width / 2, height / 2, "nothing was measured"))
    left, right, top, bottom = 48, width - 16, 24, height - 34
    xs, ys = [0.0, *(x for x, _ in points)], [0.0, *(y for _, y in points)]
    place = _Scale(xs, ys, (left, right), (bottom, top))
    drawn = [*_axes(place, (left, right), (bottom, top)), _label((left + right) / 2, height - 4, "requests per second")]
    drawn.append(_label(left, 12, "ms", anchor="end"))
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        drawn.append(tag("polyline", {"points": place.path(curve), "fill": "none", "stroke": colour}))
        drawn += [tag("circle", {"cx": x, "cy": y, "r": 3, "fill": colour}) for x, y in map(place.point, curve)]
        drawn.append(_label(left + 40 + 60 * number, 12, name, colour=colour))
    first = next(iter(curves.values()))
    drawn += [_label(x, y - 6, label) for (x, y), label in zip(map(place.point, first), labels)]
    return _picture(width, height, *drawn)


class _Scale:
    """From values to places."""

    def __init__(
        self, xs: Sequence[float], ys: Sequence[float], across: tuple[float, float], down: tuple[float, float]
    ) -> None:
        self.x_end, self.y_end = max(xs), max(ys)
        self._x_begin, self._y_begin = min(xs), min(ys)
        self._across, self._down = across, down

    def point(self, value: tuple[float, float]) -> tuple[float, float]:
        """Where a value lies."""
        x = _between(value[0], self._x_begin, self.x_end, self._across)
        return round(x, 1), round(_between(value[1], self._y_begin, self.y_end, self._down), 1)

    def path(self, values: Points) -> str:
        return " ".join(f"{x},{y}" for x, y in map(self.point, values))


def _between(value: float, low: float, high: float, ends: tuple[float, float]) -> float:
    share = (value - low) / (high - low) if high > low else 1.0 if value > 0 else 0.0
    return ends[0] + share * (ends[1] - ends[0])


def _axes(place: _Scale, across: tuple[float, float], down: tuple[float, float]) -> list[Markup]:
    drawn = []
    for share in (0, 0.5, 1):
        y = round(down[0] + share * (down[1] - down[0]), 1)
        line = {"x1": across[0], "x2": across[1], "y1": y, "y2": y, "stroke": _GREY, "stroke-opacity": 0.4}
        drawn.append(tag("line", line))
        drawn.append(_label(across[0] - 4, y + 3, figures.number(place.y_end * share), anchor="end"))
        x = across[0] + share * (across[1] - across[0])
        anchor = "end" if share == 1 else "middle"
        drawn.append(_label(x, down[0] + 14, figures.number(place.x_end * share), anchor=anchor))
    return drawn


def _label(x: float, y: float, words: object, *, anchor: str = "middle", colour: str = _GREY) -> Markup:
    place = {"x": round(x, 1), "y": round(y, 1), "text-anchor": anchor, "fill": colour, "style": _FONT}
    return tag("text", place, words)


def _picture(width: int, height: int, *children: Markup) -> Markup:
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    return tag("svg", {"xmlns": "http://www.w3.org/2000/svg", **size}, *children)
