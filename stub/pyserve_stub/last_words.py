"""What a thread of the model's own died of, for the request that nobody can answer any more because of it.

A thread lets go of what it held, response senders among it, right after it has reported its exception.
"""

from __future__ import annotations

import threading
from typing import Any

_thread = threading.local()


def listen() -> None:
    """Remember what threads die of, and report it as before."""
    report = threading.excepthook

    def remember(args: Any) -> None:
        try:
            message = str(args.exc_value)
        except Exception:  # noqa: BLE001 - a class of the model's own, whose __str__ may do anything
            message = "<exception str() failed>"
        _thread.words = f"{args.exc_type.__name__}: {message}"
        report(args)

    threading.excepthook = remember


def last_words() -> str:
    """What this thread died of, as a part of a sentence; empty while it lives."""
    words = getattr(_thread, "words", "")
    return f"; its thread ended with {words}" if words else ""
