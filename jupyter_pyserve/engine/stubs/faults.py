"""What can come of asking a stub for something: it died, or its model answered with an error."""

from __future__ import annotations

from typing import Any


class StubDied(Exception):
    """The stub ended while it was asked something."""


class StubFault(Exception):
    """The stub answered a life-cycle call with an error of the model."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply.get("text", ""))
        self.text: str = reply.get("text", "")
        self.exception: str | None = reply.get("exception")
        self.frames: list[dict[str, Any]] = reply.get("frames", [])
        #: The module that could not be found, if that was it.
        self.missing: str | None = reply.get("missing")
