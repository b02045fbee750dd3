"""What each process is doing and what it costs, as one table: `%pyserve top`. Values in, text out; asks nobody."""

from __future__ import annotations

from jupyter_pyserve.notebook.display import View
from jupyter_pyserve.notebook.inclusion.remedies import nbytes_text
from jupyter_pyserve.notebook.markup import Markup, columns, element, table
from jupyter_pyserve.notebook.payloads import EngineStatus, InstanceInfo, ModelInfo

_HEADER = ("model", "instance", "pid", "state", "req/s", "p50 ms", "p99 ms", "queue", "cpu %", "memory", "failures")


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
        pss = row.get("pss_bytes")
        state = f"{row.get('state', '')}{' (draining)' if row.get('draining') else ''}"
        return (
            row["name"],
            row.get("pid"),
            state,
            self._rate(model, row),
            _number(latency.get("p50")),
            _number(latency.get("p99")),
            queued,
            _number(row.get("cpu_percent"), 0),
            "" if pss is None else nbytes_text(pss),
            row.get("failures", 0),
        )

    def _rate(self, model: str, row: InstanceInfo) -> str:
        past = self._before.get((model, row["name"], row.get("pid")))
        if past is None or not self._past_s:
            return ""
        return _number((row.get("requests", 0) - past) / self._past_s, 0)

    def _host(self) -> str:
        host = self.status["engine"].get("host")
        if not host:
            return ""
        used, total = nbytes_text(host["memory_used_bytes"]), nbytes_text(host["memory_total_bytes"])
        return f"machine: {host['cpu_percent']:.0f} % of the processors, {used} of {total}"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
