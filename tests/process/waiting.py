"""Waiting for what other processes do: on a condition, with a deadline, and never for a length of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

DEADLINE_S = 10.0


def wait_until(
    condition: Callable[[], T | Literal[False] | None], what: object, *, deadline_s: float = DEADLINE_S
) -> T:
    """The first true value of `condition`; `what` (or what it returns when called) tells a failure apart."""
    deadline = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what() if callable(what) else what}")
        time.sleep(0.005)
    return found
