"""What stubs ask of the engine: who answers which question, at once or later, and that the end of a stub is told.

Subsystems offer their handlers to `StubServices` when the engine is composed; an instance only passes questions on.
Knows no question by name.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from pyserve_stub.wire import frames
from pyserve_stub.wire.layout import WireError

from jupyter_pyserve.errors import Code, PyServeError

if TYPE_CHECKING:
    from jupyter_pyserve.engine.stubs.instance import Instance

_log = logging.getLogger(__name__)

Send = Callable[[bytes, Sequence[int]], None]


class StubCall:
    """One question of a stub. It is answered once, by `reply` or `refuse`; after the stub's end that does nothing."""

    __slots__ = ("_id", "_send", "arguments", "instance")

    def __init__(self, instance: Instance, arguments: Mapping[str, Any], send: Send) -> None:
        self.instance = instance
        #: As the stub sent them, so to be mistrusted: `op` and what belongs to it.
        self.arguments = arguments
        self._id = arguments.get("id")
        self._send = send

    def reply(self, *, fds: Sequence[int] = (), **fields: Any) -> None:
        """Answer with `fields`; descriptors are sent along and stay whose they were."""
        self._answer({"ok": True, **fields}, fds)

    def refuse(self, code: Code, text: str) -> None:
        """Answer with an error; its text is for whoever wrote the model."""
        self._answer({"ok": False, "code": int(code), "error": text}, ())

    def _answer(self, fields: dict[str, Any], fds: Sequence[int]) -> None:
        if self._id is not None:  # else it was a note, and nobody waits
            self._send(frames.encode_cold(frames.REPLY, {"id": self._id, **fields}), fds)


#: Answers before it returns, or keeps the call and answers later, or is a coroutine. A `PyServeError` refuses the call.
#: Arguments that no honest stub sends may raise `ValueError`, `LookupError` or `TypeError`: that breaks the protocol
#: and ends the stub. Out of a coroutine they refuse the call as an internal error, like whatever else is raised there.
Handler = Callable[[StubCall], "Coroutine[Any, Any, None] | None"]


class StubServices:
    """Handlers by the name of what is asked, of calls and of notes alike."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._on_end: list[Callable[[Instance], None]] = []
        self._tasks: dict[asyncio.Task[None], Instance] = {}
        #: Takes the frames in which a stub asks for an inference.
        self.inference: Callable[[Instance, bytes], None] = _no_inference
        #: Takes the descriptors that come with any frame: of processes that the stub has forked.
        self.forked: Callable[[Instance, Sequence[int]], None] = _close

    def offer(self, handlers: Mapping[str, Handler], on_end: Callable[[Instance], None] | None = None) -> None:
        """Let `handlers` answer from now on; `on_end` is told of every stub that has ended, whatever it had asked."""
        self._handlers.update(handlers)
        if on_end is not None:
            self._on_end.append(on_end)

    def call(self, call: StubCall) -> None:
        """Have a call or a note answered."""
        op = call.arguments.get("op")
        handler = self._handlers.get(op) if isinstance(op, str) else None
        if handler is None:
            _unknown(op)
        try:
            work = handler(call)
        except PyServeError as error:
            call.refuse(error.code, error.message)
            return
        if work is not None:
            task = asyncio.get_running_loop().create_task(_finish(call, work))
            self._tasks[task] = call.instance
            task.add_done_callback(self._tasks.pop)

    def ended(self, instance: Instance) -> None:
        """A stub has ended: what it asked for is not waited for any more, and what it holds goes back."""
        for task, caller in self._tasks.items():
            if caller is instance:
                task.cancel()
        for on_end in self._on_end:
            on_end(instance)


def _close(instance: Instance, fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _no_inference(instance: Instance, data: bytes) -> None:
    raise WireError(f"unknown frame {data[0]}")


def _unknown(op: object) -> NoReturn:
    raise WireError(f"unknown call {op}")


async def _finish(call: StubCall, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except PyServeError as error:
        call.refuse(error.code, error.message)
    except Exception:  # noqa: BLE001 - the top of a task
        _log.exception("a call of '%s' failed: %s", call.instance.name, call.arguments.get("op"))
        call.refuse(Code.INTERNAL, "internal error")
