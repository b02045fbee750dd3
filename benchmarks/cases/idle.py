"""What a server with four instances uses while nobody asks anything."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

from benchmarks.cases import Bench
from benchmarks.metrics import Metric, Sample
from benchmarks.processes import command, tree, usage
from benchmarks.servers import Running

INSTANCES = 4
SETTLE_S = 3.0
WATCH_S = 30.0

CPU = Metric(name=f"idle, {INSTANCES} instances, all processes", unit="% of a core", limit=0.1)
SWITCHES = Metric(name=f"idle, {INSTANCES} instances, voluntary context switches", unit="/s")


def idle(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """One round is enough: it is a long one."""
    repository = bench.scratch / "idle"
    model = repository / "identity"
    shutil.copytree(bench.models / "identity", model)
    config = model / "config.pbtxt"
    config.write_text(config.read_text().replace("kind: KIND_CPU", f"kind: KIND_CPU count: {INSTANCES}"))
    for server in bench.servers:
        with server.start(repository) as running:
            yield running.name, _watch(running)


def _watch(server: Running) -> Sample:
    time.sleep(SETTLE_S)
    pids = tree(server.pid)
    stubs = [pid for pid in pids if b"stub" in command(pid)]
    if len(stubs) != INSTANCES:
        raise RuntimeError(f"{server.name} has {len(stubs)} stubs below it, not {INSTANCES}: what would be measured?")
    before, begun = usage(pids), time.monotonic()
    time.sleep(WATCH_S)
    used, elapsed_s = usage(pids) - before, time.monotonic() - begun
    if tree(server.pid) != pids:
        raise RuntimeError(f"{server.name} started or lost processes meanwhile")
    return {CPU: 100 * used.cpu_ns / 1e9 / elapsed_s, SWITCHES: used.switches / elapsed_s}
