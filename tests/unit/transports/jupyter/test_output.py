"""Lines, their rate, their severity, and the one that says that the engine is ready."""

from __future__ import annotations

import logging

import pytest

from jupyter_pyserve.transports.jupyter.output import (
    LineBudget,
    LineSplitter,
    Loading,
    Ready,
    level,
    parse_event,
    printable,
)


def test_lines_are_the_same_however_they_arrive() -> None:
    data = "first\nsécond\r\n\nlast".encode()
    whole, bytewise = LineSplitter(), LineSplitter()
    expected = ["first", "sécond", "", "last"]
    assert whole.feed(data) + whole.end() == expected
    assert [line for byte in data for line in bytewise.feed(bytes([byte]))] + bytewise.end() == expected


def test_a_line_without_an_end_is_cut() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"x" * 10_000)
    assert [len(line) for line in lines] == [4096, 4096]
    assert len(splitter.end()[0]) == 10_000 - 2 * 4096
    assert splitter.end() == []


def test_a_long_complete_line_is_shortened() -> None:
    assert len(LineSplitter().feed(b"y" * 10_000 + b"\n")[0]) == 4096


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07", "�]0;title�"),
        (b"back\x08space", "back�space"),
        (b"bad \xff utf-8", "bad � utf-8"),
        (b"tab\tkept  ", "tab\tkept"),
    ],
)
def test_lines_cannot_drive_a_terminal(raw: bytes, expected: str) -> None:
    assert printable(raw) == expected


def test_a_flood_is_cut_and_counted() -> None:
    budget = LineBudget(lines_per_s=1.0, burst=2)
    assert [budget.take(10.0) for _ in range(5)] == [0, 0, None, None, None]
    assert budget.take(11.0) == 3
    assert budget.take(11.0) is None
    assert budget.take(1000.0) == 1


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("E1122 10:00:00.0 1 a.py:1] bad", logging.ERROR),
        ("W1122 10:00:00.0", logging.WARNING),
        ("I1122 10:00:00.0", logging.INFO),
        ("V1122 10:00:00.0", logging.DEBUG),
        ("Every line else", logging.INFO),
        ("E112 short", logging.INFO),
    ],
)
def test_levels(line: str, expected: int) -> None:
    assert level(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"event":"ready","pid":7,"http_url":"http://x:1"}', Ready(pid=7, http_url="http://x:1")),
        ('{"event":"ready","pid":7,"http_url":null}', Ready(pid=7, http_url=None)),
        ('{"event":"ready"}', Ready(pid=0, http_url=None)),
        ('{"event":"loading"}', Loading()),
        ('{"event":"other"}', None),
        ("[1]", None),
        ("ready", None),
        ("", None),
    ],
)
def test_events(line: str, expected: Loading | Ready | None) -> None:
    assert parse_event(line) == expected
