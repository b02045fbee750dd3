"""An answer that is kept: what a request takes when no model is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.copies import copies
from benchmarks.cases.http import check, path_of
from benchmarks.load import write_body, wrk
from benchmarks.metrics import Better, Metric, Sample

MODEL = "kept_add_one"
_OPTIONS = ("--cache-config=local,size=1048576",)

LATENCY = Metric(name="HTTP FP32[1], an answer out of the response cache, 1 connection, p50", unit="µs", ratio=1.0)
TAIL = Metric(name="HTTP FP32[1], an answer out of the response cache, 1 connection, p99", unit="µs")
THROUGHPUT = Metric(
    name="HTTP FP32[1], an answer out of the response cache, 16 connections", unit="requests/s", better=Better.HIGHER
)


def cache(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    body = write_body(bench.scratch / "cache.bin", 1)
    repository = copies(bench.models, "add_one", bench.scratch / "cache", (MODEL,))
    with (repository / MODEL / "config.pbtxt").open("a") as config:
        config.write("response_cache { enable: true }\n")
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server.start(repository, _OPTIONS)) for server in bench.servers]
        for server in servers:
            check(server, MODEL, body, 2.0)
            wrk(server.port, path_of(MODEL), body, connections=16, duration_s=1)
        for _ in range(bench.rounds):
            for server in servers:
                alone = wrk(server.port, path_of(MODEL), body, connections=1, duration_s=bench.seconds)
                crowd = wrk(server.port, path_of(MODEL), body, connections=16, duration_s=bench.seconds)
                yield server.name, {LATENCY: alone.p50_us, TAIL: alone.p99_us, THROUGHPUT: crowd.per_second}
