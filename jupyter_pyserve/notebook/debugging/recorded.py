"""Recorded requests as a notebook shows them: those that are kept, and how one was answered again.

Values only: who fetches and who runs them is elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_pyserve.notebook.arrays import Array
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, code_block, columns, element, table
from jupyter_pyserve.notebook.payloads import RecordingInfo

_KEYS = ("id", "version", "time", "request", "inputs", "error")
_MOST_TEXT = 80


class RecordingList(View, Sequence[RecordingInfo]):
    """What is kept, oldest first; indexing gives what the engine tells of one."""

    def __init__(self, rows: Sequence[RecordingInfo]) -> None:
        self._rows = list(rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[RecordingInfo]:
        return iter(self._rows)

    def html(self) -> Markup:
        return table(_KEYS, self._lines()) if self._rows else element("div", _NOTHING)

    def plain(self) -> str:
        return columns(_KEYS, self._lines()) if self._rows else _NOTHING

    def _lines(self) -> list[tuple[str, ...]]:
        return [
            (
                row["id"],
                row["version"],
                time.strftime("%H:%M:%S", time.localtime(row["time"])),
                row["request_id"],
                ", ".join(f"{item['name']} {item['datatype']}{item['shape']}" for item in row["inputs"])
                + ("" if row["kept"] else " (too large, not kept)"),
                _first_line(row["error"]) or "answered",
            )
            for row in self._rows
        ]


class Replay(View):
    """How a recorded request was answered this time: `responses`, each with its outputs by name, or an `error`."""

    def __init__(self, name: str, responses: list[dict[str, Array]], error: str = "", *, where: str = "") -> None:
        self.name = name
        self.responses = responses
        self.error = error
        self.where = where

    def __getitem__(self, output: str) -> Array:
        """An output of the last response."""
        return self.responses[-1][output]

    def html(self) -> Markup:
        return element("div", element("b", self.name), f" {self._headline()}", code_block("\n".join(self._lines())))

    def plain(self) -> str:
        return "\n".join([f"{self.name} {self._headline()}", *self._lines()])

    def _headline(self) -> str:
        if self.error:
            return f"was answered with an error again, {self.where}"
        count = "" if len(self.responses) == 1 else f" with {len(self.responses)} responses"
        return f"was answered{count}, {self.where}"

    def _lines(self) -> list[str]:
        lines = [f"{name} {a.dtype}{list(a.shape)} = {a!r}" for item in self.responses for name, a in item.items()]
        return [*lines, *([self.error] if self.error else [])]


_NOTHING = "no request is recorded; %pyserve record NAME --mode all keeps all of a model, not only what it fails at"


def _first_line(text: str) -> str:
    """A Python error's own words, without Triton's before them."""
    line = text.partition("\n")[0].rpartition("message: ")[2]
    return line if len(line) <= _MOST_TEXT else line[: _MOST_TEXT - 1] + "…"
