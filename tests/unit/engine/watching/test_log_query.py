from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from jupyter_pyserve.engine.logs import LogBook, LogRecord
from jupyter_pyserve.engine.watching.log_query import LogQuery, find, follow


def record(text: str, **members: Any) -> LogRecord:
    facts = {"time": 1.0, "model": "m", "version": "1", "instance": "m_0", "pid": 7, "stream": "stdout"}
    return LogRecord(**{**facts, "level": "INFO", "text": text, **members})


def book(*records: LogRecord) -> LogBook:
    kept = LogBook(None)
    for item in records:
        kept.add(item)
    return kept


BOOK = book(
    record("a"),
    record("Bee", instance="m_1", level="ERROR", request="r1,r2"),
    record("c", model="n", level="WARNING"),
    record("d", level="ODD"),
)


def texts(query: LogQuery) -> list[Any]:
    return [row["text"] for row in find(BOOK, query)[0]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (LogQuery(), ["a", "Bee", "c", "d"]),
        (LogQuery(model="m"), ["a", "Bee", "d"]),
        (LogQuery(model="nobody"), []),
        (LogQuery(instance="m_1"), ["Bee"]),
        (LogQuery(level="WARNING"), ["Bee", "c", "d"]),
        (LogQuery(search="bE"), ["Bee"]),
        (LogQuery(request="r2"), ["Bee"]),
        (LogQuery(request="r"), []),
        (LogQuery(tail=2), ["c", "d"]),
        (LogQuery(tail=0), []),
        (LogQuery(tail=-1), []),
        (LogQuery(after=2), ["c", "d"]),
        (LogQuery(after=0, tail=3), ["a", "Bee", "c"]),
        (LogQuery(after=4), []),
    ],
    ids=str,
)
def test_what_is_found(query: LogQuery, found: list[str]) -> None:
    assert texts(query) == found


def test_where_to_go_on() -> None:
    assert find(BOOK, LogQuery())[1] == 4
    assert find(BOOK, LogQuery(after=0, tail=3))[1] == 3
    assert find(BOOK, LogQuery(model="m", after=0, tail=1))[1] == 1
    assert find(BOOK, LogQuery(after=2, tail=0))[1] == 2
    assert [row["seq"] for row in find(BOOK, LogQuery(model="m"))[0]] == [1, 2, 4]


def test_an_unknown_level() -> None:
    with pytest.raises(ValueError, match="'level' must be one of VERBOSE, INFO, WARNING, ERROR"):
        LogQuery(level="info")


def test_following() -> None:
    async def scenario() -> None:
        kept = book(record("old 1"), record("old 2"))
        lines = follow(kept, LogQuery(search="old", tail=1))
        assert [json.loads(line)["text"] for line in (await anext(lines)).splitlines()] == ["old 2"]
        waiting = asyncio.ensure_future(anext(lines))
        kept.add(record("other"))
        kept.add(record("old 3"))
        kept.add(record("old 4"))
        assert [json.loads(line)["seq"] for line in (await waiting).splitlines()] == [4, 5]
        waiting = asyncio.ensure_future(anext(lines))
        await asyncio.sleep(0)
        kept.close()
        assert await waiting == b"\n"
        assert [line async for line in lines] == []

    asyncio.run(scenario())


def test_a_follower_who_leaves_is_forgotten() -> None:
    async def scenario() -> None:
        kept = book(record("a"))
        lines = follow(kept, LogQuery())
        await anext(lines)
        assert kept._watchers
        await lines.aclose()
        assert not kept._watchers

    asyncio.run(scenario())


def test_a_follower_looks_at_no_record_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []
    wants = LogQuery.wants

    def counted(self: LogQuery, item: LogRecord) -> bool:
        looked_at.append(item.text)
        return wants(self, item)

    monkeypatch.setattr(LogQuery, "wants", counted)

    async def scenario() -> None:
        kept = book()
        lines = follow(kept, LogQuery(instance="quiet"))
        await anext(lines)
        waiting = asyncio.ensure_future(anext(lines))
        for number in range(5):
            kept.add(record(f"{number}", instance="loud"))
            for _ in range(5):
                await asyncio.sleep(0)
        kept.add(record("at last", instance="quiet"))
        assert json.loads(await waiting)["text"] == "at last"
        await lines.aclose()

    asyncio.run(scenario())
    assert [looked_at.count(text) for text in ("0", "1", "2")] == [1, 1, 1]
