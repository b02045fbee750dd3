"""An ensemble of three models, one behind the other: what it costs to pass tensors on inside the server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.copies import copies
from benchmarks.cases.http import check, path_of
from benchmarks.load import Body, write_body, wrk
from benchmarks.metrics import Better, Metric, Sample
from benchmarks.servers import Running

MODEL = "add_three"

LATENCY = Metric(name="HTTP FP32[1], ensemble of three add_one, 1 connection, p50", unit="µs", ratio=0.7)
TAIL = Metric(name="HTTP FP32[1], ensemble of three add_one, 1 connection, p99", unit="µs")
THROUGHPUT = Metric(
    name="HTTP FP32[1], ensemble of three add_one, 16 connections", unit="requests/s", better=Better.HIGHER
)

_MEMBERS = ("add_one_a", "add_one_b", "add_one_c")
_TENSORS = ("INPUT0", "ONE", "TWO", "OUTPUT0")
_CONFIG = """
platform: "ensemble"
input [ { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] } ]
ensemble_scheduling { step [ %s ] }
"""
_STEP = (
    '{ model_name: "%s" model_version: -1 input_map { key: "INPUT0" value: "%s" } '
    'output_map { key: "OUTPUT0" value: "%s" } }'
)


def ensemble(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    body = write_body(bench.scratch / "ensemble.bin", 1)
    repository = copies(bench.models, "add_one", bench.scratch / "ensemble", _MEMBERS)
    (repository / MODEL / "1").mkdir(parents=True)
    steps = ", ".join(_STEP % step for step in zip(_MEMBERS, _TENSORS, _TENSORS[1:]))
    (repository / MODEL / "config.pbtxt").write_text(_CONFIG % steps)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server.start(repository)) for server in bench.servers]
        for server in servers:
            check(server, MODEL, body, 4.0)
            wrk(server.port, path_of(MODEL), body, connections=16, duration_s=1)
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, _sample(server, body, bench.seconds)


def _sample(server: Running, body: Body, seconds: float) -> Sample:
    alone = wrk(server.port, path_of(MODEL), body, connections=1, duration_s=seconds)
    crowd = wrk(server.port, path_of(MODEL), body, connections=16, duration_s=seconds)
    return {LATENCY: alone.p50_us, TAIL: alone.p99_us, THROUGHPUT: crowd.per_second}
