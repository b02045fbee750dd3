"""What the kernel says of one process: memory, processor time, threads, descriptors.

A reader holds the process's files open, so that it can never tell of another process that got the same number later,
and that a reading is a few `pread`s. Readings are for a thread of their own; a figure that cannot be had is None, with
the reason beside it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_NBYTES = os.sysconf("SC_PAGE_SIZE")
_READ_NBYTES = 8192
#: Processor time is counted in hundredths of a second: over less than this a share of it says little.
_SHORTEST_S = 0.5

#: Of what follows the name in `stat`, proc(5): user and system time, threads, start time, resident pages.
_UTIME, _STIME, _THREADS, _START, _RSS = 11, 12, 17, 19, 21

FIRST_READING = "it is measured between two samples"
GONE = "the process has ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One reading. `unavailable` says why a figure is None, or what it is instead."""

    rss_bytes: int | None = None
    pss_bytes: int | None = None
    uss_bytes: int | None = None
    cpu_percent: float | None = None
    threads: int | None = None
    fds: int | None = None
    unavailable: dict[str, str] = field(default_factory=dict)


class ProcessReader:
    """Readings of one process, of which the first has no share of the processor.

    With `start`, of the process that began then, and no other.
    """

    def __init__(self, pid: int, start: int | None = None, proc: str = "/proc") -> None:
        self.pid = pid
        self._start = start
        self._folder = f"{proc}/{pid}"
        self._files: dict[str, int] = {}
        self._cpu_ticks: int | None = None
        self._read_at_s = 0.0
        self._percent: float | None = None
        self._memory: tuple[int | None, int | None, str] | None = None

    def read(self, now_s: float, *, memory: bool = True) -> ProcessFacts:
        """What is so now; without `memory`, which is dear, PSS and USS are those of an earlier reading."""
        try:
            words = self._text("stat").rpartition(b")")[2].split()
            ticks, rss = int(words[_UTIME]) + int(words[_STIME]), int(words[_RSS]) * _PAGE_NBYTES
            threads = int(words[_THREADS])
            if self._start not in (None, int(words[_START])):
                raise ProcessLookupError
        except (OSError, IndexError, ValueError):
            figures = ("rss_bytes", "pss_bytes", "uss_bytes", "cpu_percent", "threads", "fds")
            return ProcessFacts(unavailable=dict.fromkeys(figures, GONE))
        if memory or self._memory is None:
            self._memory = self._rollup(rss)
        pss, uss, why = self._memory
        missing = dict.fromkeys(("pss_bytes", "uss_bytes"), why) if why else {}
        cpu_percent = self._share(ticks, now_s)
        if cpu_percent is None:
            missing["cpu_percent"] = FIRST_READING
        fds = self._descriptors(missing)
        return ProcessFacts(
            rss_bytes=rss,
            pss_bytes=pss,
            uss_bytes=uss,
            cpu_percent=cpu_percent,
            threads=threads,
            fds=fds,
            unavailable=missing,
        )

    def close(self) -> None:
        """Nobody asks any more."""
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()

    def _share(self, ticks: int, now_s: float) -> float | None:
        """Of one processor, in percent, since the reading before."""
        before, passed_s = self._cpu_ticks, now_s - self._read_at_s
        if before is not None and passed_s < _SHORTEST_S:
            return self._percent
        self._cpu_ticks, self._read_at_s = ticks, now_s
        if before is not None:
            self._percent = round(max(0, ticks - before) / _TICKS_PER_S / passed_s * 100, 1)
        return self._percent

    def _rollup(self, rss: int) -> tuple[int | None, int | None, str]:
        """PSS and USS; RSS in place of PSS where the kernel does not tell, and why."""
        try:
            text = self._text("smaps_rollup")
        except OSError as error:
            return rss, None, f"smaps_rollup cannot be read ({error.strerror}); pss_bytes is RSS"
        kib: dict[bytes, int] = {}
        for line in text.splitlines()[1:]:
            words = line.split()
            with contextlib.suppress(IndexError, ValueError):
                kib[words[0]] = int(words[1])
        if b"Pss:" not in kib:
            return rss, None, "the kernel does not tell PSS; pss_bytes is RSS"
        private = sum(kib.get(name, 0) for name in (b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:"))
        return kib[b"Pss:"] * 1024, private * 1024, ""

    def _descriptors(self, missing: dict[str, str]) -> int | None:
        try:
            folder = self._file("fd", os.O_RDONLY | os.O_DIRECTORY)
            return os.fstat(folder).st_size or len(os.listdir(folder))  # the size is their number since Linux 6.2
        except OSError as error:
            missing["fds"] = f"/proc/{self.pid}/fd cannot be read ({error.strerror})"
            return None

    def _text(self, name: str) -> bytes:
        return os.pread(self._file(name), _READ_NBYTES, 0)

    def _file(self, name: str, flags: int = os.O_RDONLY) -> int:
        fd = self._files.get(name)
        if fd is None:
            fd = self._files[name] = os.open(f"{self._folder}/{name}", flags | os.O_CLOEXEC)
        return fd


def start_ticks(pid: int, proc: str = "/proc") -> int | None:
    """When a process began, in clock ticks since boot: together with its number it is itself and no other."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[_START])
    except (OSError, IndexError, ValueError):
        return None
