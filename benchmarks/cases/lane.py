"""The lane: what a call costs over the model's own time, for arrays born in shared memory, of several sizes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.cases import Bench
from benchmarks.engine import engine
from benchmarks.metrics import OURS, Metric, Sample
from jupyter_pyserve.transports.lane.client import Lane

MODEL = "timed_identity"
WARM_UP = 20
CALLS = 200

_SIZES = {"4 KiB": 2**12, "1 MiB": 2**20, "64 MiB": 2**26}

OVERHEAD = {
    name: Metric(name=f"lane FP32 {name} identity, overhead over execute, p50", unit="µs", limit=300) for name in _SIZES
}
# A copy that hides inside execute, behind as_numpy(), is seen here.
WHOLE = {name: Metric(name=f"lane FP32 {name} identity, whole call, p50", unit="µs") for name in _SIZES}


def lane(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Triton has nothing like it: its figures stay empty."""
    with engine(bench.ours, repository=bench.models, runtime=bench.scratch / "lane-run") as started:
        started.ask("POST", f"/v2/repository/models/{MODEL}/load")
        connection = Lane.connect(str(started.lane))
        try:
            for _ in range(bench.rounds):
                for name, nbytes in _SIZES.items():
                    overhead_us, whole_us = _measure(connection, nbytes)
                    yield OURS, {OVERHEAD[name]: overhead_us, WHOLE[name]: whole_us}
        finally:
            connection.close()


def _measure(connection: Lane, nbytes: int) -> tuple[float, float]:
    values = connection.empty((nbytes // 4,), np.float32)
    values[:] = np.arange(values.size, dtype=np.float32)
    if not np.array_equal(connection.infer(MODEL, {"INPUT0": values})["OUTPUT0"], values):
        raise RuntimeError("the lane gave a wrong answer")
    calls = [_call_us(connection, values) for _ in range(WARM_UP + CALLS)][WARM_UP:]
    return statistics.median(overhead for overhead, _ in calls), statistics.median(whole for _, whole in calls)


def _call_us(connection: Lane, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[float, float]:
    begun = time.perf_counter()
    outputs = connection.infer(MODEL, {"INPUT0": values})
    elapsed = time.perf_counter() - begun
    return 1e6 * (elapsed - float(outputs["SECONDS"][0])), 1e6 * elapsed
