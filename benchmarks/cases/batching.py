"""Many connections to a model with a dynamic batcher: how much gets through, and how long a request takes then."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.http import both, check, path_of
from benchmarks.load import write_body, wrk
from benchmarks.metrics import Better, Metric, Sample

MODEL = "batched_add_one"
CONNECTIONS = 64

THROUGHPUT = Metric(
    name=f"HTTP FP32[1,1] add_one, dynamic batching, {CONNECTIONS} connections",
    unit="requests/s",
    better=Better.HIGHER,
    ratio=2.0,
)
LATENCY = Metric(name=f"HTTP FP32[1,1] add_one, dynamic batching, {CONNECTIONS} connections, p50", unit="µs")
TAIL = Metric(name=f"HTTP FP32[1,1] add_one, dynamic batching, {CONNECTIONS} connections, p99", unit="µs")


def batching(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    body = write_body(bench.scratch / "batching.bin", 1, batched=True)
    with both(bench) as servers:
        for server in servers:
            check(server, MODEL, body, 2.0)
            wrk(server.port, path_of(MODEL), body, connections=CONNECTIONS, duration_s=1)
        for _ in range(bench.rounds):
            for server in servers:
                outcome = wrk(server.port, path_of(MODEL), body, connections=CONNECTIONS, duration_s=bench.seconds)
                yield server.name, {THROUGHPUT: outcome.per_second, LATENCY: outcome.p50_us, TAIL: outcome.p99_us}
