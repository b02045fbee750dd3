"""Looking through what models said: which records are wanted, from where on, and waiting for the next ones."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from jupyter_pyserve.engine.logs import LogBook, LogRecord

_LEVELS = ("VERBOSE", "INFO", "WARNING", "ERROR")
#: How often an empty line tells a follower that nothing was said, and us that he is still there.
_QUIET_S = 15.0
#: More than are kept of all models together would hardly be read.
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What is wanted. `after` is a record's number: the first `tail` behind it; without it, the last `tail` of all."""

    model: str | None = None
    instance: str = ""
    #: This level and above.
    level: str = ""
    #: A part of the text, in any case.
    search: str = ""
    request: str = ""
    after: int | None = None
    tail: int = 200

    def __post_init__(self) -> None:
        if self.level and self.level not in _LEVELS:
            raise ValueError(f"'level' must be one of {', '.join(_LEVELS)}")

    def wants(self, record: LogRecord) -> bool:
        """Whether a record is one of those."""
        return (
            self.instance in ("", record.instance)
            and (not self.level or _rank(record.level) >= _LEVELS.index(self.level))
            and (not self.request or self.request in record.request.split(","))
            and self.search.casefold() in record.text.casefold()
        )


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else len(_LEVELS)


def find(book: LogBook, query: LogQuery) -> tuple[list[dict[str, Any]], int]:
    """The records, oldest first, and the number to ask on from."""
    after = query.after if query.after is not None else 0
    found = [(seq, record) for seq, record in book.since(query.model, after) if query.wants(record)]
    count = max(0, query.tail)
    if query.after is None:
        return _rows(found[-count:] if count else []), book.seq
    if len(found) <= count:
        return _rows(found), book.seq
    return _rows(found[:count]), found[count - 1][0] if count else after


def _rows(found: list[tuple[int, LogRecord]]) -> list[dict[str, Any]]:
    return [{**record.to_json_dict(), "seq": seq} for seq, record in found]


async def follow(book: LogBook, query: LogQuery) -> AsyncGenerator[bytes, None]:
    """The records as lines of JSON, and then those that come, until the book is closed; an empty line when none do.

    Who does not read misses what the book has forgotten meanwhile.
    """
    wanted = query
    with book.watched() as news:
        while True:
            news.clear()
            rows, seq = find(book, wanted)
            wanted = dataclasses.replace(query, after=seq, tail=_MOST)
            lines = [json.dumps(row, separators=(",", ":")) for row in rows] or [""]
            yield ("\n".join(lines) + "\n").encode()
            if book.closed:
                return
            wanted = await _something_new(book, wanted, news)


async def _something_new(book: LogBook, wanted: LogQuery, news: asyncio.Event) -> LogQuery:
    """Wait for a record that is wanted, or for the end, but not for ever; from where to look on.

    No record is looked at twice, else who follows a quiet instance would pay for what a loud one says.
    """
    with contextlib.suppress(asyncio.TimeoutError):
        while True:
            rows, seq = find(book, wanted)
            if rows or book.closed:
                break
            wanted = dataclasses.replace(wanted, after=seq)
            await asyncio.wait_for(news.wait(), _QUIET_S)
            news.clear()
    return wanted
