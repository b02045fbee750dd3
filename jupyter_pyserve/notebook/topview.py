"""What each process is doing and what it costs, as one table: `%pyserve top`. Values in, text out; asks nobody."""

from __future__ import annotations

from jupyter_pyserve.notebook import figures
from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.markup import Markup, columns, element, table
from jupyter_pyserve.notebook.payloads import EngineStatus, InstanceInfo, ModelInfo

_HEADER = ("model", "instance", "pid", "state", "req/s", "p50", "p99", "queue", "cpu", "memory", "failures")


class Top(View):
    """One look at the processes of a model, or of all; rates need the look before, so many seconds ago."""

    def __init__(self, status: EngineStatus, name: str | None = None, before: Top | None = None, past_s: float = 0.0):
        self.status = status
        self._before = {} if before is None else before.requests()
        self._past_s = past_s
        self._name = name

    @property
    def models(self) -> list[ModelInfo]:
        return [info for info in self.status["models"] if self._name in (None, info["name"])]

    def requests(self) -> dict[tuple[str, str, object], int]:
        """How many requests each process has had; a new process begins anew."""
        return {
            (info["name"], row["name"], row.get("pid")): row.get("requests", 0)
            for info in self.models
            for row in info.get("instances", [])
        }

    def html(self) -> Markup:
        return element("div", table(_HEADER, self._rows()) if self._rows() else "no process runs", self._host())

    def plain(self) -> str:
        shown = columns(map(str.upper, _HEADER), self._rows()) if self._rows() else "no process runs"
        return "\n".join(filter(None, [shown, self._host()]))

    def _rows(self) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for info in self.models:
            queued: object = info.get("queue_depth", 0)
            for row in info.get("instances", []):
                rows.append((info["name"], *self._cells(info["name"], row, queued)))
                queued = ""  # the model's, said once
        return rows

    def _cells(self, model: str, row: InstanceInfo, queued: object) -> tuple[object, ...]:
        latency = row.get("latency_ms") or {}
        state = f"{row.get('state', '')}{' (draining)' if row.get('draining') else ''}"
        return (
            row["name"],
            row.get("pid"),
            state,
            self._rate(model, row),
            figures.shown(latency.get("p50"), figures.milliseconds),
            figures.shown(latency.get("p99"), figures.milliseconds),
            queued,
            figures.shown(row.get("cpu_percent"), figures.percent),
            figures.shown(row.get("pss_bytes"), figures.nbytes),
            row.get("failures", 0),
        )

    def _rate(self, model: str, row: InstanceInfo) -> str:
        past = self._before.get((model, row["name"], row.get("pid")))
        if past is None or not self._past_s:
            return ""
        return figures.number((row.get("requests", 0) - past) / self._past_s)

    def _host(self) -> str:
        host = self.status["engine"].get("host")
        if not host:
            return ""
        used, total = (figures.nbytes(host[key]) for key in ("memory_used_bytes", "memory_total_bytes"))
        return f"machine: {figures.percent(host['cpu_percent'])} of the processors, {used} of {total}"
