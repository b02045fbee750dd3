"""What the control API shows of an instance: figures from the engine's own books, the stub's page and /proc."""

from __future__ import annotations

import os
import time
from typing import Any

from jupyter_pyserve.engine.instance import Instance
from jupyter_pyserve.engine.servable import Servable


def instance_row(instance: Instance, owner: Servable) -> dict[str, Any]:
    """One instance; a figure that cannot be had is None."""
    busy = bool(instance.in_flight)
    status = instance.status()
    return {
        "name": instance.name,
        "version": str(owner.version),
        "pid": instance.pid,
        "state": instance.state.value,
        "kind": instance.spec.kind,
        "requests": instance.requests,
        "failures": instance.failures,
        "restarts": owner.restarts.get(instance.name, 0),
        "busy_since_s": (time.monotonic_ns() - instance.executing_since_ns) / 1e9 if busy else None,
        "current_request": instance.in_flight[0][0].id or None if busy else None,
        "rss_bytes": _rss_nbytes(instance.pid),
        "arena_bytes": instance.arena_nbytes,
        "arena_used_bytes": status.arena_used if status is not None else None,
        "last_error": owner.last_error or None,
    }


def memory_row(servable: Servable | None) -> dict[str, Any]:
    """What the requests of a version hold at the moment."""
    if servable is None:
        return {}
    return {
        "outstanding": servable.outstanding,
        "arena_bytes": servable.arena.capacity,
        "arena_used_bytes": servable.arena.used,
    }


def _rss_nbytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None
