"""What the control API shows of an instance: figures from the engine's own books, the stub's page and /proc."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jupyter_pyserve.engine.cache.store import ResponseCache
from jupyter_pyserve.engine.repository.entries import ModelEntry, VersionRecord
from jupyter_pyserve.engine.stubs.instance import Instance
from jupyter_pyserve.engine.versions.loaded import LoadedVersion
from jupyter_pyserve.engine.watching.sampler import Process, Sample
from jupyter_pyserve.model.latencies import recent_quantiles_ms
from jupyter_pyserve.model.lifecycle import VersionState
from jupyter_pyserve.model.statistics import FailureReason


def instance_row(instance: Instance, owner: LoadedVersion, sample: Sample | None = None) -> dict[str, Any]:
    """One instance; a figure that cannot be had is None, and those that are sampled are None without a sample."""
    busy = bool(instance.in_flight)
    process = instance.process
    status = process.status()
    facts = _sampled(process_of(instance), sample)
    return {
        "id": instance.name,
        "name": instance.name,
        "version": str(owner.version),
        "pid": instance.pid,
        "start_ticks": process.start_ticks,
        "started_at": process.started_at or None,
        "uptime_s": round(time.time() - process.started_at, 1) if process.started_at else None,
        "interpreter": instance.greeting.interpreter or None,
        "python": instance.greeting.python or None,
        "state": instance.state.value,
        "kind": instance.spec.kind,
        "requests": instance.requests,
        "failures": instance.failures,
        "restarts": owner.restarts.get(instance.name, 0),
        "last_exit": owner.last_exits.get(instance.name),
        "busy_since_s": (time.monotonic_ns() - instance.executing_since_ns) / 1e9 if busy else None,
        "current_request": instance.in_flight[0][0].id or None if busy else None,
        "latency_ms": instance.tally.latency_ms,
        "batch_sizes": _by_text(instance.tally.batch_sizes),
        "arena_bytes": instance.responses.capacity,
        "arena_used_bytes": status.arena_used if status is not None else None,
        "debug": {"port": instance.debug_port} if instance.debug_port else None,
        "last_error": owner.last_error or None,
        "draining": not instance.admission.open,
        "admission": instance.admission.state.value,
        **(facts if sample is not None else {**facts, "rss_bytes": _rss_nbytes(instance.pid)}),
    }


def process_of(instance: Instance) -> Process:
    """Which process an instance is, for a sampler."""
    return Process(instance.pid, instance.process.start_ticks)


def _sampled(process: Process, sample: Sample | None) -> dict[str, Any]:
    facts = sample.processes.get(process) if sample is not None else None
    shares = sample.gpus.get(process.pid, []) if sample is not None else None
    unavailable = dict(facts.unavailable) if facts is not None else {}
    if sample is not None and sample.no_gpus:
        shares, unavailable["gpu"] = None, sample.no_gpus
    return {
        "rss_bytes": facts.rss_bytes if facts is not None else None,
        "pss_bytes": facts.pss_bytes if facts is not None else None,
        "uss_bytes": facts.uss_bytes if facts is not None else None,
        "cpu_percent": facts.cpu_percent if facts is not None else None,
        "threads": facts.threads if facts is not None else None,
        "fds": facts.fds if facts is not None else None,
        "gpu": [share.to_json_dict() for share in shares] if shares is not None else None,
        "unavailable": unavailable,
    }


def engine_figures(sample: Sample | None, *, host_too: bool) -> dict[str, Any]:
    """What is sampled of the engine's own process, and of the machine if that may be told."""
    facts = sample.processes.get(Process(os.getpid(), None)) if sample is not None else None
    host = sample.host if sample is not None and host_too else None
    return {
        "cpu_percent": facts.cpu_percent if facts is not None else None,
        "pss_bytes": facts.pss_bytes if facts is not None else None,
        "host": None
        if host is None
        else {
            "cpu_percent": round(host.cpu_utilization * 100, 1),
            "memory_used_bytes": host.memory_used,
            "memory_total_bytes": host.memory_total,
        },
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


def model_rows(entry: ModelEntry, sample: Sample | None = None) -> Iterator[dict[str, Any] | None]:
    """None after each instance, so that whoever is in no hurry can let others in between; then the model's row."""
    versions = [
        _version_row(version, _state_of(record), _reason_of(record), record.servable)
        for version, record in sorted(entry.versions.items())
    ]
    versions += [_version_row(item.version, VersionState.LOADING, "", item) for item in entry.loading]
    serving = [servable for _, servable in entry.held()]
    newest = serving[-1] if serving else None
    shown = next((row for row in reversed(versions) if row["state"] == VersionState.READY.value), None)
    shown = shown or (versions[-1] if versions else _version_row(0, VersionState.UNAVAILABLE, "", None))
    instances: list[dict[str, Any]] = []
    taken: set[str] = set()
    for owner in (*reversed(serving), *entry.loading):
        for item in list(owner.instances):  # who pauses here lets others change it
            row = instance_row(item, owner, sample)
            if row["id"] in taken:  # of another version, one that is loading for example
                row["id"] = f"{item.name}#{owner.version}"
            taken.add(row["id"])
            instances.append(row)
            yield None
    yield {
        "name": entry.name,
        "state": shown["state"],
        "reason": shown["reason"],
        "versions": versions,
        "instances": instances,
        "max_batch_size": newest.config.max_batch_size if newest is not None else 0,
        "decoupled": newest is not None and newest.signature.decoupled,
        "platform": newest.config.platform or newest.config.backend if newest is not None else None,
        "kind": instances[0]["kind"] if instances else None,
        "inputs": _tensors(newest, "inputs"),
        "outputs": _tensors(newest, "outputs"),
        "owner": entry.owner,
        "loading_error": entry.loading_error or None,
        "draining": newest is not None and not newest.admission.open,
        "admission": newest.admission.state.value if newest is not None else None,
        "deploys": [item.to_json_dict() for item in entry.deploys],
        **_traffic(serving),
    }


def model_row(entry: ModelEntry, sample: Sample | None = None) -> dict[str, Any]:
    """One model with its versions and instances, those that are loading last."""
    *_, row = model_rows(entry, sample)
    assert row is not None
    return row


def _traffic(serving: Sequence[LoadedVersion]) -> dict[str, Any]:
    """What requests have come and how they fared, over the versions that are loaded now."""
    counts = [servable.statistics for servable in serving]
    sizes: Counter[int] = Counter()
    for item in counts:
        sizes.update(item.batch_sizes)
    pending = sum(servable.pending for servable in serving)
    return {
        "queue_depth": pending,
        "in_flight": max(0, sum(servable.outstanding for servable in serving) - pending),
        "statistics": {
            "success": sum(item.success_count for item in counts),
            "failure": sum(item.fail_count for item in counts),
            "rejected": sum(item.fail_reasons[FailureReason.REJECTED] for item in counts),
            "inference_count": sum(item.inference_count for item in counts),
            "execution_count": sum(item.execution_count for item in counts),
            "batch_sizes": _by_text(sizes),
            "queue_us": sum(item.queue_ns for item in counts) // 1000,
            "compute_us": sum(item.compute_infer_ns for item in counts) // 1000,
        },
        "latency_ms": recent_quantiles_ms([ns for item in counts for ns in item.recent_ns]),
    }


def _by_text(sizes: Mapping[int, int]) -> dict[str, int]:
    return {str(size): sizes[size] for size in sorted(sizes)}


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
