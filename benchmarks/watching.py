"""What watching costs: `python -m benchmarks.watching [INSTANCES]`, an engine in this process with one model on them.

Tells the share of a processor that one who watches at 1 Hz adds (his own part of it included), idle and while requests
arrive, and the longest time for which the event loop did nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tempfile
import time
from pathlib import Path

from jupyter_pyserve.engine.server_log import ServerLog
from jupyter_pyserve.engine.service import Service
from jupyter_pyserve.settings import ControlMode, EngineSettings, LogSettings

_MODEL = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", request.inputs()[0].as_numpy())])
                for request in requests]
"""
_CONFIG = """
backend: "python"
input [{{ name: "INPUT0" data_type: TYPE_FP32 dims: [ 1 ] }}]
output [{{ name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 1 ] }}]
instance_group [{{ count: {count} kind: KIND_CPU }}]
"""


class Pulse:
    """Turns of the event loop, one after the other without a rest, and the longest of them."""

    def __init__(self) -> None:
        self.longest_s = self.longest_own_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._before, self._own_before = time.perf_counter(), time.thread_time()
        self._beating = True
        self._beat()

    def _beat(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        self.longest_s = max(self.longest_s, now - self._before)
        self.longest_own_s = max(self.longest_own_s, own - self._own_before)
        self._before, self._own_before = now, own
        if self._beating:
            self._loop.call_soon(self._beat)

    def stop(self) -> None:
        self._beating = False


async def _watch(service: Service, lines: list[int]) -> None:
    async for line in service.watch.lines(1.0):
        lines += [len(line)]


@contextlib.asynccontextmanager
async def _watched(service: Service, lines: list[int]):  # type: ignore[no-untyped-def]
    task = asyncio.ensure_future(_watch(service, lines))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _share(seconds: float) -> float:
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - cpu) / (time.monotonic() - began) * 100


def measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        version = Path(folder, "m", "1")
        version.mkdir(parents=True)
        (version / "model.py").write_text(_MODEL)
        (version.parent / "config.pbtxt").write_text(_CONFIG.format(count=count))
        asyncio.run(_run(folder, count))


async def _run(folder: str, count: int) -> None:
    settings = EngineSettings(model_repositories=(folder,), control_mode=ControlMode.NONE, log=LogSettings())
    service = Service(settings, log=ServerLog(settings.log), output=None)
    await service.start()
    gc.collect()
    gc.freeze()  # as the engine does
    gc.set_threshold(20_000, 50, 50)
    try:
        await _measure(service, count)
    finally:
        await service.close()


async def _measure(service: Service, count: int) -> None:
    await asyncio.sleep(2)
    lines: list[int] = []
    alone = await _share(10)
    async with _watched(service, lines):
        await asyncio.sleep(2)
        watched = await _share(20)
    print(f"{count} instances, idle: {alone:.2f} % of a processor unwatched, {watched:.2f} % watched")
    print(f"snapshot {lines[0]} bytes, then {lines[1:6]} bytes a line, {len(lines)} lines in 22 s")
    pulse = Pulse()
    await asyncio.sleep(10)
    unwatched_s, unwatched_own_s = pulse.longest_s, pulse.longest_own_s
    pulse.longest_s = pulse.longest_own_s = 0.0
    async with _watched(service, lines):
        await asyncio.sleep(20)
    pulse.stop()
    print(f"longest turn: {unwatched_s * 1e3:.2f} ms (own time {unwatched_own_s * 1e3:.2f}) unwatched,", end=" ")
    print(f"{pulse.longest_s * 1e3:.2f} ms (own time {pulse.longest_own_s * 1e3:.2f}) watched")


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
