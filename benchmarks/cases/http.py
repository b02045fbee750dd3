"""Requests over HTTP with binary tensors: latency and throughput of small ones, requests per second of large ones."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence

from benchmarks.cases import Bench
from benchmarks.load import Body, write_body, write_strings, wrk
from benchmarks.metrics import Better, Metric, Sample
from benchmarks.servers import Running

LATENCY = Metric(name="HTTP FP32[1] add_one, 1 connection, p50", unit="µs", ratio=0.7)
TAIL = Metric(name="HTTP FP32[1] add_one, 1 connection, p99", unit="µs")
THROUGHPUT = Metric(name="HTTP FP32[1] add_one, 16 connections", unit="requests/s", better=Better.HIGHER, ratio=1.5)

_MIB = 2**20
_LARGE = tuple(
    (
        model,
        size,
        Metric(name=f"HTTP FP32 {size} MiB {model}, 1 connection", unit="requests/s", better=Better.HIGHER, ratio=2.0),
    )
    for size in (4, 64)
    for model in ("add_one", "identity")
)

_STRINGS = 10_000
_STRING_NBYTES = 100
BYTES = Metric(
    name=f"HTTP BYTES, {_STRINGS:,} elements of {_STRING_NBYTES} bytes, identity, 1 connection",
    unit="requests/s",
    better=Better.HIGHER,
    ratio=5.0,
)


def small(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    body = write_body(bench.scratch / "small.bin", 1)
    with both(bench) as servers:
        for server in servers:
            check(server, "add_one", body, 2.0)
            wrk(server.port, path_of("add_one"), body, connections=16, duration_s=1)
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, _small(server, body, bench.seconds)


def _small(server: Running, body: Body, seconds: float) -> Sample:
    alone = wrk(server.port, path_of("add_one"), body, connections=1, duration_s=seconds)
    crowd = wrk(server.port, path_of("add_one"), body, connections=16, duration_s=seconds)
    return {LATENCY: alone.p50_us, TAIL: alone.p99_us, THROUGHPUT: crowd.per_second}


def large(bench: Bench) -> Iterator[tuple[str, Sample]]:
    with both(bench) as servers:
        for model, size, metric in _LARGE:
            body = write_body(bench.scratch / f"{size}_mib.bin", size * _MIB // 4)
            for server in servers:
                check(server, model, body, 2.0 if model == "add_one" else 1.0)
            for _ in range(bench.rounds):
                for server in servers:
                    outcome = wrk(server.port, path_of(model), body, connections=1, duration_s=bench.seconds)
                    yield server.name, {metric: outcome.per_second}


def strings(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """The model asks for the array and answers with it, so every element is taken apart and put together again."""
    body = write_strings(bench.scratch / "strings.bin", _STRINGS, _STRING_NBYTES)
    elements = body.path.read_bytes()[body.header_nbytes :]
    with both(bench) as servers:
        for server in servers:
            if not server.ask("POST", path_of("identity_bytes"), body.path.read_bytes(), body.headers).endswith(
                elements
            ):
                raise RuntimeError(f"{server.name} gave a wrong answer for identity_bytes")
        for _ in range(bench.rounds):
            for server in servers:
                outcome = wrk(server.port, path_of("identity_bytes"), body, connections=1, duration_s=bench.seconds)
                yield server.name, {BYTES: outcome.per_second}


@contextlib.contextmanager
def both(bench: Bench) -> Iterator[Sequence[Running]]:
    """All servers, on the models of the benchmarks."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server.start(bench.models)) for server in bench.servers]


def check(server: Running, model: str, body: Body, expected: float) -> None:
    """A quick wrong answer is no result."""
    answer = server.ask("POST", path_of(model), body.path.read_bytes(), body.headers)
    if answer[-4 * body.elements :] != struct.pack("<f", expected) * body.elements:
        raise RuntimeError(f"{server.name} gave a wrong answer for {model}")


def path_of(model: str) -> str:
    """Where inferences are posted."""
    return f"/v2/models/{model}/infer"
