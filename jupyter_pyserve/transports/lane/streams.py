"""The responses of a model that answers any number of times, as they come: for loops, and for `async for`.

Owns what has arrived and was not taken; how frames come in is the lane's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_pyserve.transports.lane.waiting import LATE, Mailbox

Answer = dict[str, Any]


class ResponseStream:
    """One request's responses. A failure is raised in its turn; more may follow it, unless it was the last."""

    def __init__(self, key: int, mailbox: Mailbox, cancel: Callable[[int], None], timeout_s: float | None) -> None:
        self.key = key
        self._mailbox = mailbox
        self._cancel = cancel
        self._timeout_s = timeout_s
        self._items: deque[Answer | BaseException] = deque()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def done(self) -> bool:
        """Whether there is something to take, or will never be."""
        return bool(self._items) or self._ended

    def add(self, answer: Answer | None, error: BaseException | None = None, *, final: bool = True) -> None:
        """A response, or nothing but the news that it was the last. What comes after the end goes back."""
        if self._ended:
            return
        if error is not None or answer is not None:
            self._items.append(error if error is not None else answer)  # type: ignore[arg-type]
        self._ended = final
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)

    def __iter__(self) -> ResponseStream:
        return self

    def __next__(self) -> Answer:
        self._mailbox.wait(self, self._timeout_s)
        if not self._items:
            raise StopIteration
        return self._take()

    def __aiter__(self) -> ResponseStream:
        return self

    async def __anext__(self) -> Answer:
        if not self.done:
            try:
                await asyncio.wait_for(self._until_done(), self._timeout_s)
            except asyncio.TimeoutError:  # in older Pythons an error of its own
                raise TimeoutError(LATE) from None
        if not self._items:
            raise StopAsyncIteration
        return self._take()

    async def _until_done(self) -> None:
        loop = asyncio.get_running_loop()
        self._mailbox.watch(loop)
        try:
            while not self.done:
                waiter = self._waiter = loop.create_future()
                if not self.done:  # else it came in between, by a thread that reads
                    await waiter
        finally:
            self._mailbox.unwatch(loop)

    def _take(self) -> Answer:
        item = self._items.popleft()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Want no more of it: the model is told, and what has come goes back."""
        self._items.clear()
        if not self._ended:
            self._ended = True
            self._cancel(self.key)

    def __enter__(self) -> ResponseStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self.close()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
