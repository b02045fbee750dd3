"""Waiting for what threads do."""

from __future__ import annotations

import threading


def live_threads_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "pyserve-live-view":
            thread.join(30)
