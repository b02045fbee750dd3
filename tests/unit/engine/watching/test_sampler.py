from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from jupyter_pyserve.engine.watching.sampler import BUDGET, Process, Sampler, pause_s
from jupyter_pyserve.telemetry.gpu_processes import NO_DRIVER
from jupyter_pyserve.telemetry.gpus import Gpus
from jupyter_pyserve.telemetry.processes import GONE, start_ticks


def no_gpus(visible: str | None) -> Gpus:
    return Gpus(visible, lambda: None)


def run(scenario: Any) -> None:
    async def main() -> None:
        sampler = Sampler(None, no_gpus)
        try:
            await scenario(sampler)
        finally:
            sampler.close()

    asyncio.run(main())


def test_the_engine_is_always_among_them() -> None:
    async def scenario(sampler: Sampler) -> None:
        sample = await sampler.sample([])
        assert list(sample.processes) == [Process(os.getpid(), None)]
        assert (sample.processes[sampler.engine].pss_bytes or 0) > 1 << 20
        assert sample.host is not None
        assert sample.no_gpus == NO_DRIVER
        assert sample.cost_s > 0

    run(scenario)


def test_another_process_with_that_number_is_not_told_of() -> None:
    async def scenario(sampler: Sampler) -> None:
        ticks = start_ticks(os.getpid())
        assert ticks is not None
        itself, other, gone = Process(os.getpid(), ticks), Process(os.getpid(), ticks + 1), Process(2**22 + 1, 1)
        sample = await sampler.sample([itself, other, gone])
        assert sample.processes[itself].threads
        for process in (other, gone):
            assert sample.processes[process].threads is None
            assert sample.processes[process].unavailable["threads"] == GONE

    run(scenario)


def test_what_nobody_asks_for_any_more_is_closed() -> None:
    async def scenario(sampler: Sampler) -> None:
        await sampler.sample([Process(os.getpid(), start_ticks(os.getpid()))])
        held = len(os.listdir("/proc/self/fd"))
        await sampler.sample([])
        assert len(os.listdir("/proc/self/fd")) == held - 3
        sampler.close()
        assert len(os.listdir("/proc/self/fd")) == held - 6

    run(scenario)


@pytest.mark.parametrize(
    ("asked_s", "cost_s", "pause"),
    [(0.1, 0.0, 1.0), (2.0, 0.0, 2.0), (60.0, 0.0, 5.0), (1.0, 3 * BUDGET, 3.0), (1.0, 60.0, 5.0)],
)
def test_how_soon_the_next_one_comes(asked_s: float, cost_s: float, pause: float) -> None:
    assert pause_s(asked_s, cost_s) == pytest.approx(pause)


def test_a_sample_that_hangs_does_not_stop_who_lets_go() -> None:
    async def scenario(sampler: Sampler) -> None:
        with sampler._one_at_a_time:  # as a thread that is stuck in a driver holds it
            sampler.close()

    run(scenario)
