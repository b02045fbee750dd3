"""Sampling of this engine's own processes: persistent readers, a bounded share of the processor, in a thread.

Knows processes by number and start, never walks /proc, and reads nothing that it was not told of. What a sample costs
decides how soon the next one may be taken.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from jupyter_pyserve.telemetry.gpu_processes import NO_DRIVER, GpuProcesses, GpuShare
from jupyter_pyserve.telemetry.gpus import Gpus
from jupyter_pyserve.telemetry.machine import Machine, MachineFacts
from jupyter_pyserve.telemetry.processes import ProcessFacts, ProcessReader

#: Of one processor, at most, unless samples are as rare as they may be; to show them costs about as much again.
BUDGET = 0.004
FASTEST_S, SLOWEST_S = 1.0, 5.0
#: How long reading memory may take in one sample; who has waited longest is read first.
_MEMORY_S = 0.002
_GPU_INTERVAL_S = 2.0


class Process(NamedTuple):
    """Which process is meant: a number alone may be another one's by now."""

    pid: int
    start_ticks: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at everything."""

    processes: dict[Process, ProcessFacts] = field(default_factory=dict)
    gpus: dict[int, list[GpuShare]] = field(default_factory=dict)
    #: Why there are no figures of GPUs; empty when there are.
    no_gpus: str = ""
    host: MachineFacts | None = None
    #: Processor time that it took.
    cost_s: float = 0.0


class Sampler:
    """Samples on demand, one at a time."""

    def __init__(
        self, visible_gpus: str | None, gpus: Callable[[str | None], Gpus] = Gpus, proc: str = "/proc"
    ) -> None:
        self._visible_gpus = visible_gpus
        self._find_gpus = gpus
        self._proc = proc
        self._readers: dict[Process, ProcessReader] = {}
        self._memory_read_s: dict[Process, float] = {}
        self._machine = Machine(0.0)
        self._gpus: GpuProcesses | None = None
        self._gpus_read_s = -math.inf
        self._gpu_shares: dict[int, list[GpuShare]] | str = NO_DRIVER
        self._one_at_a_time = threading.Lock()
        self._forgetting: asyncio.TimerHandle | None = None

    async def sample(self, wanted: Iterable[Process]) -> Sample:
        """Read this engine and the processes that are wanted."""
        self._stay()
        return await asyncio.to_thread(self._sample, [self.engine, *wanted])

    def rest(self, kept_s: float) -> None:
        """Nobody asks at present: let go of everything when so much time has passed, in which shares can be had."""
        self._stay()
        self._forgetting = asyncio.get_running_loop().call_later(kept_s, self._forget_all)

    @property
    def engine(self) -> Process:
        """This process, as it is named in samples."""
        return Process(os.getpid(), None)

    def close(self) -> None:
        """Let go of everything."""
        self._stay()
        self._forget_all()

    def _stay(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()

    def _forget_all(self) -> None:
        if self._one_at_a_time.acquire(blocking=False):  # a sample that hangs in a driver must not stop the engine
            try:
                self._forget(())
            finally:
                self._one_at_a_time.release()

    def _sample(self, wanted: list[Process]) -> Sample:
        with self._one_at_a_time:  # a caller that is gone does not stop its thread
            return self._look(wanted)

    def _look(self, wanted: list[Process]) -> Sample:
        began_s, now_s = time.thread_time(), time.monotonic()
        self._forget(wanted)
        shares = self._read_gpus(now_s)
        return Sample(
            processes=self._read_processes(wanted, now_s),
            gpus=shares if isinstance(shares, dict) else {},
            no_gpus=shares if isinstance(shares, str) else "",
            host=self._machine.facts(now_s),
            cost_s=time.thread_time() - began_s,
        )

    def _read_processes(self, wanted: list[Process], now_s: float) -> dict[Process, ProcessFacts]:
        found = {}
        for process in sorted(wanted, key=lambda item: self._memory_read_s.get(item, 0.0)):
            reader = self._readers.get(process)
            if reader is None:
                reader = self._readers[process] = ProcessReader(process.pid, process.start_ticks, self._proc)
            memory = time.monotonic() - now_s < _MEMORY_S
            if memory:
                self._memory_read_s[process] = now_s
            found[process] = reader.read(now_s, memory=memory)
        return found

    def _read_gpus(self, now_s: float) -> dict[int, list[GpuShare]] | str:
        if self._gpus is None:
            self._gpus = GpuProcesses(self._find_gpus(self._visible_gpus))
        if now_s - self._gpus_read_s >= _GPU_INTERVAL_S:
            self._gpus_read_s = now_s
            self._gpu_shares = self._gpus.read()
        return self._gpu_shares

    def _forget(self, wanted: Collection[Process]) -> None:
        """Close what nobody asks for any more."""
        for process in [item for item in self._readers if item not in wanted]:
            self._readers.pop(process).close()
            self._memory_read_s.pop(process, None)


def pause_s(asked_s: float, cost_s: float) -> float:
    """How long to wait before the next sample: what is asked for, longer when it would cost too much, 5 s at most."""
    return min(SLOWEST_S, max(asked_s, FASTEST_S, cost_s / BUDGET))
