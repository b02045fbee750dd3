from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree

from jupyter_pyserve.notebook.plots import bars, image, latency_throughput, lines


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def names(svg: str, tag: str) -> list[ElementTree.Element]:
    return parsed(svg).findall(f".//{{http://www.w3.org/2000/svg}}{tag}")


def test_lines_share_their_axes() -> None:
    first, second = names(lines([[(0, 0), (1, 10)], [(0, 5), (1, 5)]], width=100, height=40), "polyline")
    assert first.get("points") == "2.0,38.0 98.0,4.0"
    assert second.get("points") == "2.0,21.0 98.0,21.0"


def test_nothing_is_an_empty_picture() -> None:
    for svg in (lines([]), bars({}), latency_throughput({}, [])):
        assert names(svg, "polyline") == names(svg, "rect") == []


def test_bars_are_as_tall_as_their_counts() -> None:
    low, high = names(bars({4: 10, 1: 5}, height=34), "rect")
    assert (low.get("height"), high.get("height")) == ("10.0", "20.0")
    assert [label.text for label in names(bars({4: 10, 1: 5}), "text")] == ["1", "4"]


def test_latency_over_throughput_has_a_curve_for_each_percentile_and_a_label_for_each_point() -> None:
    svg = latency_throughput({"p50": [(10, 1), (20, 2)], "p99": [(10, 3), (20, 4)]}, [1, 2])
    assert len(names(svg, "polyline")) == 2
    assert len(names(svg, "circle")) == 4
    assert {"1", "2", "p50", "p99", "requests per second"} <= {label.text for label in names(svg, "text")}


def test_hostile_labels_stay_text() -> None:
    svg = latency_throughput({"<script>": [(1, 1)]}, ["</svg><b>"])
    assert names(svg, "script") == []
    assert "</svg><b>" in [label.text for label in names(svg, "text")]


def test_an_image_carries_its_plot_and_says_what_it_is() -> None:
    svg = lines([[(0, 1)]])
    shown = image(svg, 'of "<b>"', width=10)
    found = re.search(r'base64,([^"]+)"', shown)
    assert found is not None
    assert base64.b64decode(found[1]).decode() == svg
    assert 'alt="of &quot;&lt;b&gt;&quot;"' in shown
