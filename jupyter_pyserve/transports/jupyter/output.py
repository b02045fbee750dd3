"""What the engine says on its standard streams: cut into lines, made printable, bounded in rate, understood.

Pure: bytes and times in, values out.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import Final

_MAX_LINE: Final = 4096
_LEVELS: Final = {"E": logging.ERROR, "W": logging.WARNING, "V": logging.DEBUG}
# Triton's log format: a letter, month and day, then the time.
_LEVEL: Final = re.compile(r"([IWEV])\d{4} ")
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The engine accepts requests."""

    pid: int
    http_url: str | None


@dataclass(frozen=True, slots=True)
class Loading:
    """The engine is up and loads models, which takes as long as they take."""


class LineSplitter:
    """Cuts a byte stream into printable lines; a line without an end is cut rather than kept."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, rest = (self._rest + data).split(b"\n")
        while len(rest) > _MAX_LINE:
            lines.append(rest[:_MAX_LINE])
            rest = rest[_MAX_LINE:]
        self._rest = rest
        return [printable(line) for line in lines]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [printable(rest)] if rest else []


class LineBudget:
    """A token bucket: a flood of lines must not become a flood in somebody else's log."""

    def __init__(self, *, lines_per_s: float, burst: int) -> None:
        self._rate = lines_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_s: float | None = None
        self._dropped = 0

    def take(self, now_s: float) -> int | None:
        """None when the line is to be dropped, else how many were dropped since the last one that was not."""
        if self._at_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < 1:
            self._dropped += 1
            return None
        self._tokens -= 1
        dropped, self._dropped = self._dropped, 0
        return dropped


def printable(line: bytes) -> str:
    """A line that is safe to show in a terminal."""
    text = _ESCAPE.sub("", line[:_MAX_LINE].decode("utf-8", "replace")).rstrip()
    return "".join(char if char.isprintable() or char == "\t" else "�" for char in text)


def level(line: str) -> int:
    """The severity that a line of the engine's log announces."""
    match = _LEVEL.match(line)
    return _LEVELS.get(match[1], logging.INFO) if match is not None else logging.INFO


def parse_event(line: str) -> Loading | Ready | None:
    """What the engine announces, or None when the line is something else."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    kind = event.get("event") if isinstance(event, dict) else None
    if kind == "loading":
        return Loading()
    if kind != "ready":
        return None
    pid, url = event.get("pid"), event.get("http_url")
    return Ready(pid=pid if isinstance(pid, int) else 0, http_url=url if isinstance(url, str) else None)
