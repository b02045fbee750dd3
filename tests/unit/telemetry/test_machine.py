from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_pyserve.telemetry.machine import Machine


class Proc:
    """A /proc that a test fills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory(total=1000, available=600)
        self.ticks(busy=100, idle=100)

    def ticks(self, *, busy: int, idle: int) -> None:
        """Guest time, at the end of the line, is in user time already."""
        line = f"cpu  {busy - 5} 1 1 {idle - 10} 10 1 1 1 77 78\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
        (self.folder / "stat").write_text(line)

    def memory(self, *, total: int, available: int) -> None:
        text = f"MemTotal:  {total} kB\nMemFree:  1 kB\nMemAvailable:   {available} kB\n"
        (self.folder / "meminfo").write_text(text)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_utilization_is_of_the_time_since_the_reading_before(proc: Proc) -> None:
    machine = Machine(2.0, proc.folder)
    assert machine.facts(10.0).cpu_utilization == 0.5  # since the machine started
    proc.ticks(busy=130, idle=110)
    assert machine.facts(12.0).cpu_utilization == 0.75
    assert machine.facts(14.0).cpu_utilization == 0.0  # no tick has passed


def test_a_reading_serves_for_an_interval(proc: Proc) -> None:
    machine = Machine(2.0, proc.folder)
    before = machine.facts(10.0)
    proc.memory(total=1000, available=1)
    assert machine.facts(11.9) is before
    assert machine.facts(12.0) != before


def test_memory(proc: Proc) -> None:
    facts = Machine(2.0, proc.folder).facts(1.0)
    assert (facts.memory_total, facts.memory_used) == (1000 * 1024, 400 * 1024)


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    assert Machine(2.0, tmp_path).facts(1.0) == (0.0, 0, 0)


def test_this_machine_can_be_read() -> None:
    facts = Machine(2.0).facts(1.0)
    assert 0 <= facts.cpu_utilization <= 1
    assert 0 < facts.memory_used < facts.memory_total
