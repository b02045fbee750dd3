"""Many responses to one request: events of `generate_stream` a second, from a decoupled model that sends in a loop."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.http import both
from benchmarks.metrics import Better, Metric, Sample
from benchmarks.servers import Running

_COUNT = 20_000
EVENTS = Metric(
    name=f"HTTP generate_stream, INT32[1], {_COUNT:,} responses to a request", unit="responses/s", better=Better.HIGHER
)


def stream(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works."""
    with both(bench) as servers:
        for server in servers:
            _ask(server, 100)
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, {EVENTS: _rate(server, bench.seconds)}


def _rate(server: Running, seconds: float) -> float:
    began = time.perf_counter()
    responses = 0
    while time.perf_counter() - began < seconds:
        responses += _ask(server, _COUNT)
    return responses / (time.perf_counter() - began)


def _ask(server: Running, count: int) -> int:
    answer = server.ask("POST", "/v2/models/repeat/generate_stream", b'{"COUNT":%d}' % count)
    events = answer.count(b"data: ")
    if events != count:
        raise RuntimeError(f"{server.name} answered {events} times, not {count}")
    return events
