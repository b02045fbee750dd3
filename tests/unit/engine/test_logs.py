from __future__ import annotations

import asyncio
import io
import logging
import os

import pytest

from jupyter_pyserve.engine import logs
from jupyter_pyserve.engine.logs import LogBook, LogRecord, PipeReader
from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.settings import LogSettings


def record(
    text: str,
    *,
    model: str = "m",
    moment: float = 0.0,
    stream: str = "stdout",
    level: str = "INFO",
    instance: str = "i",
) -> LogRecord:
    return LogRecord(
        time=moment, model=model, version="1", instance=instance, pid=7, stream=stream, level=level, text=text
    )


def texts(records: list[LogRecord]) -> list[str]:
    return [item.text for item in records]


def test_tail_of_a_model() -> None:
    book = LogBook(None)
    for number in range(5):
        book.add(record(str(number), instance=f"i{number % 2}"))
    book.add(record("other", model="n"))
    assert texts(book.tail("m", 2)) == ["3", "4"]
    assert texts(book.tail("m", 10, "i0")) == ["0", "2", "4"]
    assert texts(book.tail("nobody", 10)) == []
    assert texts(book.tail("m", 0)) == []
    assert texts(book.tail("m", -3)) == []


def test_tail_of_all_is_in_order_of_time() -> None:
    book = LogBook(None)
    book.add(record("late", model="a", moment=2.0))
    book.add(record("early", model="b", moment=1.0))
    assert texts(book.tail(None, 10)) == ["early", "late"]


def test_each_model_keeps_its_last() -> None:
    book = LogBook(None, per_model=3)
    book.add(record("kept", model="quiet"))
    for number in range(100):
        book.add(record(str(number)))
    assert texts(book.tail("m", 100)) == ["97", "98", "99"]
    assert texts(book.tail("quiet", 100)) == ["kept"]


def test_printed_lines_go_to_the_servers_output_and_logged_ones_to_its_log(caplog: pytest.LogCaptureFixture) -> None:
    output = io.StringIO()
    book = LogBook(output)
    with caplog.at_level(logging.DEBUG):
        book.add(record("printed"))
        book.add(record("careful", stream="log", level="WARNING"), file="model.py", line=8)
    assert output.getvalue() == "printed\n"
    (logged,) = caplog.records
    assert (logged.getMessage(), logged.levelno) == ("careful", logging.WARNING)
    assert logged.__dict__["model_file"] == "model.py"


def test_as_json() -> None:
    assert record("x").to_json_dict() == {
        "time": 0.0,
        "instance": "i",
        "version": "1",
        "pid": 7,
        "stream": "stdout",
        "level": "INFO",
        "text": "x",
        "request": "",
    }


def read(*writes: bytes) -> list[str]:
    """The lines that come of what is written before the reader closes."""
    return [line for line, _ in read_with_requests(*writes)]


def read_with_requests(*writes: bytes, turns: int = 1) -> list[tuple[str, str]]:
    """The same with the request of each; the loop turns that often after each write."""

    async def scenario() -> list[tuple[str, str]]:
        lines: list[tuple[str, str]] = []
        ours, theirs = os.pipe()
        reader = PipeReader(ours, lambda line, request: lines.append((line, request)))
        for data in writes:
            os.write(theirs, data)
            for _ in range(turns):
                await asyncio.sleep(0)
        os.close(theirs)
        reader.close()
        reader.close()
        return lines

    return asyncio.run(scenario())


def test_lines_of_a_pipe() -> None:
    assert read(b"one\ntwo\n") == ["one", "two"]


def test_a_line_in_pieces() -> None:
    assert read(b"on", b"e\ntw", b"o\n") == ["one", "two"]


def test_the_last_line_needs_no_end() -> None:
    assert read(b"one\nlast words") == ["one", "last words"]


def test_lines_belong_to_requests() -> None:
    assert read_with_requests(b"a\n\0\1first\0b\nc", b"\0\1\0d\n\0\1sec", b"ond\0e\n") == [
        ("a", ""),
        ("b", "first"),
        ("c", "first"),
        ("d", ""),
        ("e", "second"),
    ]


def test_a_line_without_an_end_is_handed_on_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_UNFINISHED_S", 0.0)
    assert read_with_requests(b"half", b" more", b"\nnext\n", b"\n", turns=5) == [
        ("half", ""),
        (" more", ""),
        ("next", ""),
        ("", ""),
    ]


def test_half_an_id_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_UNFINISHED_S", 0.0)
    assert read_with_requests(b"\0\1fir", b"st\0a\n", turns=5) == [("a", "first")]


def test_of_a_progress_bar_its_last_state() -> None:
    assert read(b"\r10 %\r20 %\r\nwindows\r\n") == ["20 %", "windows"]


def test_bytes_that_are_no_text() -> None:
    assert read(b"\xff\xfe!\n") == ["\\xff\\xfe!"]


def test_a_line_without_end_is_cut() -> None:
    pieces = read(b"x" * 40_000)
    assert "".join(pieces) == "x" * 40_000
    assert max(map(len, pieces)) <= 16 * 1024


@pytest.mark.parametrize(("level", "kept"), [(0, []), (1, ["details"])])
def test_verbose_messages_are_kept_while_somebody_wants_them(level: int, kept: list[str]) -> None:
    book = LogBook(None, ServerLog(LogSettings(verbose_level=level)))
    book.add(record("details", stream="log", level="VERBOSE"))
    assert texts(book.tail("m", 10)) == kept
