"""What a monitor knows of the engine: events put together, the figures that are shown, and how they went lately.

Pure: events in, rows and points out; time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

Row = dict[str, Any]

MAX_POINTS = 120
#: What did not change for longer than this many intervals has not changed: the engine says only what does.
_GAP = 2.5

_MODEL = ("state", "reason", "queue_depth", "in_flight", "loading_error")
_INSTANCE = ("name", "version", "state", "pid", "requests", "failures", "restarts", "last_exit")


class Point(NamedTuple):
    """One moment of a model; None for what is not known."""

    time_s: float
    #: Per second.
    requests: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_percent: float | None
    memory_nbytes: float | None


class Watched:
    """The engine's status as its events tell it, in the figures of a monitor."""

    def __init__(self, only: str | None = None, *, interval_s: float = 1.0) -> None:
        self.engine: Row = {}
        self.models: dict[str, Row] = {}
        self.history: dict[str, deque[Point]] = {}
        self._only = only
        self._interval_s = interval_s
        self._engine: Row = {}
        self._models: dict[str, Row] = {}
        self._requests: dict[str, tuple[float, int]] = {}

    def apply(self, event: Mapping[str, Any], now_s: float) -> Row:
        """Take an event; what has changed in what is shown, by model, None for one that is gone."""
        if event["type"] == "snapshot":
            self._engine = dict(event["status"]["engine"])
            told = {row["name"]: row for row in event["status"]["models"]}
            names = {*self._models, *told}
            self._models = {
                name: {**row, "instances": {item["id"]: item for item in row["instances"]}}
                for name, row in told.items()
            }
        else:
            self._engine.update(event.get("engine", {}))
            names = set(event.get("models", {}))
            for name, change in event.get("models", {}).items():
                self._merge(name, change)
        self.engine = _engine_figures(self._engine)
        changes = {name: self._renew(name, now_s) for name in sorted(names) if self._only in (None, name)}
        return {name: change for name, change in changes.items() if change != {}}

    def everything(self) -> Row:
        """All that is shown, for one who sees it for the first time."""
        return {
            name: {**row, "points": [list(point) for point in self.history[name]]} for name, row in self.models.items()
        }

    def _merge(self, name: str, change: Row | None) -> None:
        if change is None:
            self._models.pop(name, None)
            return
        row = self._models.setdefault(name, {"instances": {}})
        instances = row["instances"]
        for key, item in change.get("instances", {}).items():
            if item is None:
                instances.pop(key, None)
            else:
                instances[key] = {**instances.get(key, {}), **item}
        row.update({key: value for key, value in change.items() if key != "instances"})

    def _renew(self, name: str, now_s: float) -> Row | None:
        source, old = self._models.get(name), self.models.get(name)
        if source is None:
            self.models.pop(name, None)
            self.history.pop(name, None)
            self._requests.pop(name, None)
            return None
        new = _model_figures(source)
        self.models[name] = new
        points = self._add_points(name, source, now_s)
        change = {key: value for key, value in new.items() if key != "instances" and (old or {}).get(key) != value}
        before = (old or {}).get("instances", {})
        instances: Row = {key: None for key in before if key not in new["instances"]}
        for key, row in new["instances"].items():
            known = before.get(key, {})
            differing = {field: value for field, value in row.items() if field not in known or known[field] != value}
            if differing:
                instances[key] = differing
        if instances:
            change["instances"] = instances
        return {**change, "points": [list(point) for point in points]}

    def _add_points(self, name: str, source: Row, now_s: float) -> list[Point]:
        figures, instances = source.get("statistics") or {}, source["instances"].values()
        count = figures.get("success", 0) + figures.get("failure", 0)
        then_s, before = self._requests.get(name, (now_s, count))
        self._requests[name] = (now_s, count)
        history = self.history.setdefault(name, deque(maxlen=MAX_POINTS))
        latency = source.get("latency_ms") or {}
        fresh = []
        elapsed_s = now_s - then_s
        if history and elapsed_s > _GAP * self._interval_s:
            elapsed_s = self._interval_s
            fresh.append(history[-1]._replace(time_s=round(now_s - elapsed_s, 3), requests=0.0))
        rate = max(0, count - before) / elapsed_s if elapsed_s > 0 else 0.0
        fresh.append(
            Point(
                time_s=round(now_s, 3),
                requests=round(rate, 2),
                p50_ms=latency.get("p50"),
                p99_ms=latency.get("p99"),
                cpu_percent=_sum(item.get("cpu_percent") for item in instances),
                memory_nbytes=_sum(item.get("pss_bytes") for item in instances),
            )
        )
        history.extend(fresh)
        return fresh


def _engine_figures(engine: Row) -> Row:
    host = engine.get("host") or {}
    return {
        "state": engine.get("state", ""),
        "pid": engine.get("pid"),
        "cpu_percent": engine.get("cpu_percent"),
        "pss_bytes": engine.get("pss_bytes"),
        "host_cpu_percent": host.get("cpu_percent"),
        "host_memory": [host.get("memory_used_bytes"), host.get("memory_total_bytes")] if host else None,
    }


def _model_figures(source: Row) -> Row:
    statistics, latency = source.get("statistics") or {}, source.get("latency_ms") or {}
    return {
        **{key: source.get(key) for key in _MODEL},
        "success": statistics.get("success", 0),
        "failure": statistics.get("failure", 0),
        "rejected": statistics.get("rejected", 0),
        "p50_ms": latency.get("p50"),
        "p99_ms": latency.get("p99"),
        "batch_sizes": statistics.get("batch_sizes") or {},
        "instances": {key: _instance_figures(item) for key, item in source["instances"].items()},
    }


def _instance_figures(item: Row) -> Row:
    latency, missing = item.get("latency_ms") or {}, item.get("unavailable") or {}
    shares = item.get("gpu")
    return {
        **{key: item.get(key) for key in _INSTANCE},
        "busy_s": int(item.get("busy_since_s") or 0) or None,
        "p50_ms": latency.get("p50"),
        "p99_ms": latency.get("p99"),
        "memory": item.get("pss_bytes"),
        "cpu": item.get("cpu_percent"),
        "gpu": sum(share.get("bytes") or 0 for share in shares) if shares is not None else None,
        # Why there is no figure, under the figure's name here.
        "why": {
            shown: missing[field]
            for field, shown in (("pss_bytes", "memory"), ("cpu_percent", "cpu"), ("gpu", "gpu"))
            if field in missing
        },
    }


def _sum(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 1) if known else None
