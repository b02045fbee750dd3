"""A model's own `is_ready`, answered on a thread and a socket of its own, so that a long `execute` does not keep it.

One question at a time, which is the engine's care. A model without `is_ready` has no such thread.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, Callable

from .faults import describe

READY = b"1"
NOT_READY = b"0"

_MAX_TEXT_NBYTES = 16 * 1024


def has_check(model: Any) -> bool:
    """Whether a model wants to be asked."""
    return hasattr(model, "is_ready")


def answer_checks(fd: int, model: Any, instance_name: str, run: Callable[[Any], Any]) -> None:
    """Answer every question that comes over this socket, until it is closed; `run` waits for a coroutine."""
    sock = socket.socket(fileno=fd)

    def serve() -> None:
        with sock:
            try:
                while sock.recv(16):
                    reason = _why_not(model, instance_name, run).encode("utf-8", "backslashreplace")
                    sock.send(NOT_READY + reason[:_MAX_TEXT_NBYTES] if reason else READY)
            except OSError:
                pass  # the engine is gone

    threading.Thread(target=serve, name="pyserve-readiness", daemon=True).start()


def _why_not(model: Any, instance_name: str, run: Callable[[Any], Any]) -> str:
    """Empty when the model says that it is ready."""
    try:
        answer = model.is_ready()
        if asyncio.iscoroutine(answer):
            answer = run(answer)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is an answer: no
        return describe(error).text
    if not isinstance(answer, bool):
        return "is_ready() must return a boolean value"
    return "" if answer else f"Model '{instance_name}' is not ready (user-defined check failed)."
