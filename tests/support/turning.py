"""Letting an event loop turn until something has happened; a test's time limit is the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for is another end's frame, not an event of ours
        await asyncio.sleep(0)
