"""How busy the machine is, from /proc: read when somebody asks, and at most once an interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class MachineFacts(NamedTuple):
    """Processor time in use (0 to 1, since the reading before) and memory in bytes."""

    cpu_utilization: float
    memory_total: int
    memory_used: int


class Machine:
    """Readings of this machine; what cannot be read is 0."""

    def __init__(self, interval_s: float, proc: Path = Path("/proc")) -> None:
        self._interval_s = interval_s
        self._proc = proc
        self._read_at_s: float | None = None
        self._busy = self._all = 0
        self._facts = MachineFacts(0.0, 0, 0)

    def facts(self, now_s: float) -> MachineFacts:
        """The reading of this interval."""
        if self._read_at_s is None or now_s - self._read_at_s >= self._interval_s:
            self._read_at_s = now_s
            self._facts = MachineFacts(self._utilization(), *self._memory())
        return self._facts

    def _utilization(self) -> float:
        ticks = _numbers(self._lines("stat")[:1], 8)  # user nice system idle iowait irq softirq steal, proc(5)
        total = sum(ticks)
        busy = total - sum(ticks[3:5])
        passed, used = total - self._all, busy - self._busy
        self._all, self._busy = total, busy
        return max(0.0, min(1.0, used / passed)) if passed > 0 else 0.0

    def _memory(self) -> tuple[int, int]:
        kib = {line.partition(":")[0]: line for line in self._lines("meminfo")}
        total, available = (sum(_numbers([kib.get(name, "")], 1)) * 1024 for name in ("MemTotal", "MemAvailable"))
        return total, total - available

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._proc / name).read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            return []


def _numbers(lines: Sequence[str], count: int) -> list[int]:
    return [int(word) for line in lines for word in line.split()[1 : 1 + count]]
