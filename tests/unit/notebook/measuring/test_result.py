from __future__ import annotations

import pytest

from jupyter_pyserve.notebook.measuring.result import BenchResult, level_of


def test_percentiles_are_of_what_was_answered() -> None:
    level = level_of(4, [value / 1000 for value in range(1, 101)], 2.0, ["late"])
    assert (level.p50_ms, level.p90_ms, level.p99_ms) == (50.0, 90.0, 99.0)
    assert (level.requests, level.failures, level.error, level.throughput) == (100, 1, "late", 50.0)


def test_a_single_answer_is_every_percentile() -> None:
    level = level_of(1, [0.002], 1.0, [])
    assert (level.p50_ms, level.p99_ms) == (2.0, 2.0)


def test_a_level_without_an_answer_has_no_latency() -> None:
    level = level_of(1, [], 1.0, ["refused", "away"])
    assert (level.p50_ms, level.throughput, level.error) == (None, 0.0, "away")


@pytest.fixture
def result() -> BenchResult:
    levels = [level_of(1, [0.001] * 10, 1.0, []), level_of(2, [0.002] * 30, 1.0, ["<b>no</b>"])]
    return BenchResult("add<i>", levels, via="lane")


def test_plain_has_a_line_for_each_level(result: BenchResult) -> None:
    title, _, header, first, second, *rest = result.plain().splitlines()
    assert title == "add<i>: over lane: 30 requests per second at most"
    assert header.split()[:3] == ["REQUESTS", "AT", "ONCE"]
    assert first.split() == ["1", "10", *["1", "ms"] * 3, "10", "0"]
    assert second.split() == ["2", "30", *["2", "ms"] * 3, "30", "1"]
    assert rest[-1] == "1 failed of those with 2 at once: <b>no</b>"


def test_html_has_table_and_plot_and_escapes(result: BenchResult) -> None:
    html = result._repr_html_()
    assert "<table" in html
    assert "data:image/svg+xml;base64," in html
    assert "add&lt;i&gt;" in html
    assert "&lt;b&gt;no" in html


def test_rows_are_values(result: BenchResult) -> None:
    assert [row["throughput"] for row in result.rows()] == [10.0, 30.0]
    assert result.best is result.levels[1]


def test_nothing_measured_says_so() -> None:
    result = BenchResult("add", [], via="http", note="stopped before its end")
    assert result.best is None
    assert result.plain() == "add: over http: nothing was measured (stopped before its end)"
    assert "<img" not in result._repr_html_()


def test_a_level_that_only_failed_is_left_out_of_the_plot() -> None:
    svg = BenchResult("add", [level_of(1, [], 1.0, ["no"])], via="lane").svg()
    assert "circle" not in svg
