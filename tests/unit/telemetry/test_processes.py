from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_pyserve.telemetry.processes import FIRST_READING, GONE, ProcessFacts, ProcessReader, start_ticks

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
ROLLUP = "55 - 7f rw-p\nRss: 400 kB\nPss: 300 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty: 20 kB\nPrivate_Hugetlb: 0 kB\n"


class Process:
    """A process as the kernel shows it, in files of our own."""

    def __init__(self, proc: Path) -> None:
        self.folder = proc / "7"
        (self.folder / "fd").mkdir(parents=True)
        (self.folder / "smaps_rollup").write_text(ROLLUP)
        self.stat()

    def stat(self, ticks: int = 0, name: str = "a) (b") -> None:
        words = ["0"] * 40
        words[11], words[12], words[17], words[19], words[21] = str(ticks), "0", "3", "4711", "100"
        (self.folder / "stat").write_text(f"7 ({name}) {' '.join(words)}\n")


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_all_figures(process: Process, tmp_path: Path) -> None:
    reader = ProcessReader(7, 4711, str(tmp_path))
    first = reader.read(100.0)
    assert first.unavailable == {"cpu_percent": FIRST_READING}
    process.stat(ticks=TICKS)
    facts = reader.read(102.0)
    assert (facts.rss_bytes, facts.pss_bytes, facts.uss_bytes) == (100 * PAGE, 300 * 1024, 30 * 1024)
    assert (facts.cpu_percent, facts.threads, facts.unavailable) == (50.0, 3, {})
    reader.close()


def test_shares_over_moments_are_those_of_before(process: Process, tmp_path: Path) -> None:
    reader = ProcessReader(7, None, str(tmp_path))
    reader.read(100.0)
    process.stat(ticks=TICKS)
    assert reader.read(100.1).cpu_percent is None
    assert reader.read(101.0).cpu_percent == 100.0
    assert reader.read(101.2).cpu_percent == 100.0
    assert reader.read(103.0).cpu_percent == 0.0
    process.stat(ticks=2 * TICKS)
    assert reader.read(106.0).cpu_percent == 33.3
    reader.close()


def test_memory_is_read_when_it_is_told_to(process: Process, tmp_path: Path) -> None:
    reader = ProcessReader(7, None, str(tmp_path))
    assert reader.read(1.0, memory=False).pss_bytes == 300 * 1024, "the first time in any case"
    (process.folder / "smaps_rollup").write_text(ROLLUP.replace("300", "500"))
    assert reader.read(2.0, memory=False).pss_bytes == 300 * 1024
    assert reader.read(3.0).pss_bytes == 500 * 1024
    reader.close()


def test_rss_where_there_is_no_pss(process: Process, tmp_path: Path) -> None:
    (process.folder / "smaps_rollup").unlink()
    facts = ProcessReader(7, None, str(tmp_path)).read(1.0)
    assert (facts.pss_bytes, facts.uss_bytes) == (facts.rss_bytes, None)
    assert "pss_bytes is RSS" in facts.unavailable["pss_bytes"]
    assert "uss_bytes" in facts.unavailable


def test_descriptors_that_may_not_be_seen(process: Process, tmp_path: Path) -> None:
    (process.folder / "fd").rmdir()
    facts = ProcessReader(7, None, str(tmp_path)).read(1.0)
    assert facts.fds is None
    assert "cannot be read" in facts.unavailable["fds"]


@pytest.mark.parametrize("text", ["", "7 (x) 1 2", "nonsense"])
def test_a_file_that_makes_no_sense(text: str, process: Process, tmp_path: Path) -> None:
    (process.folder / "stat").write_text(text)
    assert set(ProcessReader(7, None, str(tmp_path)).read(1.0).unavailable.values()) == {GONE}


def test_the_successor_of_a_process_is_another(process: Process, tmp_path: Path) -> None:
    facts = ProcessReader(7, 4712, str(tmp_path)).read(1.0)
    assert facts == ProcessFacts(unavailable=facts.unavailable)
    assert facts.unavailable["rss_bytes"] == GONE


def test_when_a_process_began(process: Process, tmp_path: Path) -> None:
    assert start_ticks(7, str(tmp_path)) == 4711
    assert start_ticks(8, str(tmp_path)) is None
    assert (start_ticks(os.getpid()) or 0) > 0
