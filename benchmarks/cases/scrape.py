"""Scraping the metrics of many models: how long it takes, and whether requests notice."""

from __future__ import annotations

import contextlib
import http.client
import statistics
import threading
import time
from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.cases.copies import copies
from benchmarks.cases.http import check, path_of
from benchmarks.load import Body, write_body, wrk
from benchmarks.metrics import Metric, Sample
from benchmarks.servers import Running

MODELS = 100
EVERY_S = 0.1
ALONE = 50

SCRAPE = Metric(name=f"metrics of {MODELS} models, a scrape, p50", unit="ms", limit=20)
SLOWEST = Metric(name=f"metrics of {MODELS} models, the slowest of {ALONE} scrapes", unit="ms", limit=20)
PLAIN = Metric(name=f"HTTP FP32[1] add_one beside {MODELS} models, 1 connection, p99", unit="µs")
SCRAPED = Metric(name=f"the same while metrics are scraped {1 / EVERY_S:g} times a second, p99", unit="µs")
DELAY = Metric(name="how much longer that is", unit="µs", limit=500)

_NAMES = tuple(f"add_one_{number}" for number in range(MODELS))


def scrape(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Both servers run all the time; only the one that is asked works. Triton needs a while to load so many."""
    body = write_body(bench.scratch / "scrape.bin", 1)
    repository = copies(bench.models, "add_one", bench.scratch / "scrape", _NAMES)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server.start(repository, ["--allow-metrics=true"])) for server in bench.servers]
        for server in servers:
            for name in _NAMES:
                check(server, name, body, 2.0)
            if f'nv_inference_count{{model="{_NAMES[-1]}",version="1"}} 1\n' not in _text(server):
                raise RuntimeError(f"{server.name} does not show what was counted")
        for _ in range(bench.rounds):
            for server in servers:
                yield server.name, _sample(server, body, bench.seconds)


def _sample(server: Running, body: Body, seconds: float) -> Sample:
    took_ms = [_timed_ms(server) for _ in range(ALONE)]
    plain = wrk(server.port, path_of(_NAMES[0]), body, connections=1, duration_s=seconds)
    with _scraping(server):
        scraped = wrk(server.port, path_of(_NAMES[0]), body, connections=1, duration_s=seconds)
    return {
        SCRAPE: statistics.median(took_ms),
        SLOWEST: max(took_ms),
        PLAIN: plain.p99_us,
        SCRAPED: scraped.p99_us,
        DELAY: scraped.p99_us - plain.p99_us,
    }


@contextlib.contextmanager
def _scraping(server: Running) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        while not over.wait(EVERY_S):
            _text(server)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _timed_ms(server: Running) -> float:
    begun = time.perf_counter()
    _text(server)
    return (time.perf_counter() - begun) * 1000


def _text(server: Running) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
