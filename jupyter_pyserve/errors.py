"""The one error root of the project and the domain codes that every transport maps to its own statuses.

Knows nothing of HTTP, gRPC or Jupyter: each transport owns one table from `Code` to its status.
"""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """What kind of failure it is; numbered like Triton's `TritonError` codes (r24.10)."""

    UNKNOWN = 0
    INTERNAL = 1
    NOT_FOUND = 2
    INVALID_ARG = 3
    UNAVAILABLE = 4
    UNSUPPORTED = 5
    ALREADY_EXISTS = 6
    CANCELLED = 7


class PyServeError(Exception):
    """A failure that may be shown to whoever asked: `message` is the exact text they see."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
