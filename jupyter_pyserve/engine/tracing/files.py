"""The files of traces in Triton's format: `file`, and `file.0`, `file.1` and so on.

Everything is written by one thread of its own, in order. A file is valid JSON after each write.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import Executor

from jupyter_pyserve.telemetry.traces import TraceRecord, render

_log = logging.getLogger(__name__)


class TraceFiles:
    """Those of one name, which only the command line can say."""

    def __init__(self, path: str, executor: Executor) -> None:
        self._path = path
        self._executor = executor
        self._index = 0
        self._begun = False

    def write(self, records: Sequence[TraceRecord], *, indexed: bool) -> None:
        """Have traces written."""
        self._executor.submit(self._write, records, indexed)

    def _write(self, records: Sequence[TraceRecord], indexed: bool) -> None:
        try:
            if indexed:
                path, self._index = f"{self._path}.{self._index}", self._index + 1
                _begin(path, records)
            elif self._begun:
                _append(self._path, records)
            else:
                _begin(self._path, records)
                self._begun = True
        except OSError as error:
            _log.error("failed creating trace file: %s", error)
        except Exception:  # noqa: BLE001 - the top of a thread's task
            _log.exception("traces could not be written")


def _begin(path: str, records: Sequence[TraceRecord]) -> None:
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        file.write(f"[{render(records)}]")


def _append(path: str, records: Sequence[TraceRecord]) -> None:
    with open(path, "rb+") as file:
        file.seek(-1, os.SEEK_END)  # over the closing bracket
        file.write(f",{render(records)}]".encode("utf-8", "replace"))
