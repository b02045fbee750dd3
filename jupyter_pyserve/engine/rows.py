"""What the control API shows of an instance: figures from the engine's own books, the stub's page and /proc."""

from __future__ import annotations

import os
import time
from typing import Any

from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.entries import ModelEntry, VersionRecord
from jupyter_pyserve.engine.instance import Instance
from jupyter_pyserve.engine.loaded import LoadedVersion
from jupyter_pyserve.model.lifecycle import VersionState


def instance_row(instance: Instance, owner: LoadedVersion) -> dict[str, Any]:
    """One instance; a figure that cannot be had is None."""
    busy = bool(instance.in_flight)
    status = instance.status()
    return {
        "name": instance.name,
        "version": str(owner.version),
        "pid": instance.pid,
        "interpreter": instance.greeting.interpreter or None,
        "python": instance.greeting.python or None,
        "state": instance.state.value,
        "kind": instance.spec.kind,
        "requests": instance.requests,
        "failures": instance.failures,
        "restarts": owner.restarts.get(instance.name, 0),
        "busy_since_s": (time.monotonic_ns() - instance.executing_since_ns) / 1e9 if busy else None,
        "current_request": instance.in_flight[0][0].id or None if busy else None,
        "rss_bytes": _rss_nbytes(instance.pid),
        "arena_bytes": instance.responses.capacity,
        "arena_used_bytes": status.arena_used if status is not None else None,
        "debug": {"port": instance.debug_port} if instance.debug_port else None,
        "last_error": owner.last_error or None,
    }


def memory_row(servable: LoadedVersion | None) -> dict[str, Any]:
    """What the requests of a version hold at the moment."""
    if servable is None:
        return {}
    return {
        "outstanding": servable.outstanding,
        "arena_bytes": servable.arena.capacity,
        "arena_used_bytes": servable.arena.used,
    }


def cache_row(cache: ResponseCache | None) -> dict[str, int] | None:
    """The response cache; None when there is none."""
    if cache is None:
        return None
    figures = cache.figures
    return {
        "size_bytes": cache.limit_nbytes,
        "used_bytes": cache.used_nbytes,
        "entries": len(cache),
        "hits": figures.hits,
        "misses": figures.misses,
        "evictions": figures.evictions,
    }


def _rss_nbytes(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def model_row(entry: ModelEntry) -> dict[str, Any]:
    """One model with its versions and instances, those that are loading last."""
    versions = [
        _version_row(version, _state_of(record), _reason_of(record), record.servable)
        for version, record in sorted(entry.versions.items())
    ]
    versions += [_version_row(item.version, VersionState.LOADING, "", item) for item in entry.loading]
    serving = [servable for _, servable in entry.held()]
    newest = serving[-1] if serving else None
    shown = next((row for row in reversed(versions) if row["state"] == VersionState.READY.value), None)
    shown = shown or (versions[-1] if versions else _version_row(0, VersionState.UNAVAILABLE, "", None))
    return {
        "name": entry.name,
        "state": shown["state"],
        "reason": shown["reason"],
        "versions": versions,
        "instances": [instance_row(item, owner) for owner in (*serving, *entry.loading) for item in owner.instances],
        "max_batch_size": newest.config.max_batch_size if newest is not None else 0,
        "decoupled": newest is not None and newest.signature.decoupled,
        "inputs": _tensors(newest, "inputs"),
        "outputs": _tensors(newest, "outputs"),
        "owner": entry.owner,
    }


def _version_row(version: int, state: VersionState, reason: str, servable: LoadedVersion | None) -> dict[str, Any]:
    return {"version": str(version), "state": state.value, "reason": reason, **memory_row(servable)}


def _state_of(record: VersionRecord) -> VersionState:
    return record.state if record.servable is None else record.servable.state


def _reason_of(record: VersionRecord) -> str:
    return record.reason if record.servable is None else record.servable.reason


def _tensors(servable: LoadedVersion | None, which: str) -> list[dict[str, Any]]:
    if servable is None:
        return []
    specs = getattr(servable.signature, which).values()
    batch = [-1] if servable.signature.max_batch_size > 0 else []
    return [{"name": item.name, "datatype": item.datatype, "shape": [*batch, *item.dims]} for item in specs]
