"""The event loop on which coroutines of a model run: one for each stub, in a thread, started when it is needed.

Nothing that a coroutine raises ends it. Knows nothing of what the coroutines do.
"""

from __future__ import annotations

import asyncio
import threading
import types
from contextvars import ContextVar
from typing import Any, Callable

from .session import EngineGone

_STOP_S = 1.0

#: Which call of `EventLoop.run` a task belongs to.
_AWAITED: ContextVar[object] = ContextVar("pyserve_awaited")

#: What a coroutine returned, or what it raised.
Done = Callable[[Any, "BaseException | None"], None]


class EventLoop:
    """Runs coroutines beside the main thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        #: The loop itself only keeps weak references.
        self._running: set[Any] = set()
        #: What the main thread waits for at present.
        self._awaited: object = None

    def run(self, coroutine: Any) -> Any:
        """Wait for a coroutine; its result, or the exception that it raised."""
        self._awaited = waited_for = object()
        try:
            return self.run_beside(coroutine, waited_for)
        finally:
            self._awaited = None

    def run_beside(self, coroutine: Any, waited_for: object = None) -> Any:
        """The same for another thread than the main one, which does not wait for it."""
        loop = self._started()
        if isinstance(coroutine, types.GeneratorType):  # asyncio took them for coroutines before 3.12, and says so
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()  # type: ignore[arg-type]
        result, exit_error = asyncio.run_coroutine_threadsafe(_contain(coroutine, waited_for), loop).result()
        if exit_error is not None:
            raise exit_error
        return result

    def is_waited_for(self) -> bool:
        """Whether the main thread waits for what runs now: the coroutine that it runs, or what that has started."""
        return self._awaited is not None and _AWAITED.get(None) is self._awaited

    def spawn(self, coroutine: Any, done: Done) -> None:
        """Start a coroutine; `done` is called on the event loop."""
        loop = self._started()
        loop.call_soon_threadsafe(self._spawn, _watch(coroutine, done))

    def stop(self) -> None:
        """Cancel what runs, and end the thread unless something keeps it busy."""
        if self._loop is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop)
            self._thread.join(_STOP_S)
            if not self._thread.is_alive():
                self._loop.close()
            self._loop = self._thread = None

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _end(self) -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        asyncio.get_running_loop().stop()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                asyncio.set_event_loop(self._loop)
                self._thread = threading.Thread(target=self._loop.run_forever, name="pyserve-asyncio", daemon=True)
                self._thread.start()
            return self._loop


async def _contain(coroutine: Any, waited_for: object) -> Any:
    """The result, or the exception that would end the event loop's thread."""
    _AWAITED.set(waited_for)
    try:
        return await coroutine, None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


async def _watch(coroutine: Any, done: Done) -> None:
    if isinstance(coroutine, types.GeneratorType):
        coroutine = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]
    result: Any = None
    fault: BaseException | None = None
    try:
        result = await coroutine
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to this coroutine's requests
        fault = error
    try:
        done(result, fault)
    except (EngineGone, OSError):
        pass
    finally:
        fault = None  # its traceback holds this frame, and with others the inputs of requests
