"""What it costs when a model calls another: requests to a model that asks `add_one`, beside those to `identity`."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.http import both, check, path_of
from benchmarks.load import Body, write_body, wrk
from benchmarks.metrics import Better, Metric, Sample
from benchmarks.servers import Running

WHOLE = Metric(name="HTTP FP32[1], a model that calls add_one, 1 connection, p50", unit="µs", ratio=0.5)
TAIL = Metric(name="HTTP FP32[1], a model that calls add_one, 1 connection, p99", unit="µs")
CALL = Metric(name="BLS call of add_one: the above less a request to identity, p50", unit="µs", ratio=0.5)
THROUGHPUT = Metric(
    name="HTTP FP32[1], a model that calls add_one, 16 connections", unit="requests/s", better=Better.HIGHER
)


def bls(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    body = write_body(bench.scratch / "bls.bin", 1)
    with both(bench) as servers:
        for server in servers:
            check(server, "bls_add_one", body, 2.0)
            for model in ("identity", "bls_add_one"):
                wrk(server.port, path_of(model), body, connections=1, duration_s=1)
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, _sample(server, body, bench.seconds)


def _sample(server: Running, body: Body, seconds: float) -> Sample:
    plain = wrk(server.port, path_of("identity"), body, connections=1, duration_s=seconds)
    calling = wrk(server.port, path_of("bls_add_one"), body, connections=1, duration_s=seconds)
    crowd = wrk(server.port, path_of("bls_add_one"), body, connections=16, duration_s=seconds)
    return {
        WHOLE: calling.p50_us,
        TAIL: calling.p99_us,
        CALL: calling.p50_us - plain.p50_us,
        THROUGHPUT: crowd.per_second,
    }
