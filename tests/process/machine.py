"""What the kernel knows of processes, read from /proc: trees, descriptors, memory, titles, wake-ups."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.process.waiting import wait_until

_GONE = (FileNotFoundError, ProcessLookupError)


def _stat(pid: int) -> list[str] | None:
    with contextlib.suppress(*_GONE):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return None


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped has ended too."""
    fields = _stat(pid)
    return fields is None or fields[0] in "ZX"


def state(pid: int) -> str:
    """The kernel's letter for what a process is doing; Z for one that nobody has reaped, empty for none."""
    fields = _stat(pid)
    return fields[0] if fields is not None else ""


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, nearest first, zombies included."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (fields := _stat(int(entry))) is not None:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, front = [], [pid]
    while front:
        front = [child for parent in front for child in children.get(parent, ())]
        found += front
    return found


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of a process refers to, sorted."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(*_GONE):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return sorted(found)


def title(pid: int) -> str:
    """The command line as `ps` shows it."""
    with contextlib.suppress(*_GONE):
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()
    return ""


def parent(pid: int) -> int:
    """The process that started it, or took it over."""
    return _status_number(pid, "PPid")


def named_memory(pid: int) -> set[str]:
    """Files in /dev/shm that a process has mapped."""
    with contextlib.suppress(*_GONE):
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return {line.split(maxsplit=5)[5] for line in lines if "/dev/shm/" in line}
    return set()


def resident_nbytes(pid: int) -> int:
    """Private resident memory; what is shared with others does not count."""
    return _status_number(pid, "RssAnon") * 1024


def wakeups(pid: int) -> int:
    """How often the threads of a process have gone to sleep and were woken, since they began."""
    threads = os.listdir(f"/proc/{pid}/task")
    return sum(_status_number(pid, "voluntary_ctxt_switches", f"task/{thread}/") for thread in threads)


def _status_number(pid: int, field: str, thread: str = "") -> int:
    lines = Path(f"/proc/{pid}/{thread}status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def kill(pid: int) -> None:
    """End a process at once and wait until it is reaped: its first thread may have ended before the others."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not state(pid), f"{pid} has ended")
