"""From a cell's source to a READY model: our deploy beside Triton's load of a model file that was written again."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.cases import Bench
from benchmarks.engine import Engine, engine
from benchmarks.metrics import OURS, TRITON, Metric, Sample
from benchmarks.servers import Running

MODEL = "add_one"

UNCHANGED = Metric(name="deploy a small model, unchanged, to READY", unit="ms", limit=150)
EDITED = Metric(name="deploy a small model, edited, to READY", unit="ms")

Deploy = Callable[[str], None]


def deploy(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Triton is always given a newer file: one that was not touched it does not load at all."""
    with contextlib.ExitStack() as stack:
        deployers: list[tuple[str, Deploy]] = []
        for server in bench.servers:
            repository = bench.scratch / f"deploy-{server.name}"
            if server.name == TRITON:
                shutil.copytree(bench.models / MODEL, repository / MODEL)
                started = stack.enter_context(server.start(repository, ["--model-control-mode=explicit"]))
                deployers.append((TRITON, _triton(started)))
            else:
                repository.mkdir()
                runtime = bench.scratch / "deploy-run"
                started_engine = stack.enter_context(engine(bench.ours, repository=repository, runtime=runtime))
                deployers.append((OURS, _ours(started_engine, (bench.models / MODEL / "config.pbtxt").read_text())))
        yield from _rounds(bench, deployers)


def _rounds(bench: Bench, deployers: list[tuple[str, Deploy]]) -> Iterator[tuple[str, Sample]]:
    source = (bench.models / MODEL / "1" / "model.py").read_text()
    for _, run in deployers:
        run(source)
    for number in range(bench.rounds):
        for name, run in deployers:
            unchanged_ms = _milliseconds(run, source)
            edited_ms = _milliseconds(run, f"{source}\n# edit {number}\n")
            run(source)
            yield name, {UNCHANGED: unchanged_ms, EDITED: edited_ms}


def _milliseconds(run: Deploy, source: str) -> float:
    begun = time.perf_counter()
    run(source)
    return 1000 * (time.perf_counter() - begun)


def _triton(server: Running) -> Deploy:
    path: Path = server.repository / MODEL / "1" / "model.py"

    def run(source: str) -> None:
        path.write_text(source)
        server.ask("POST", f"/v2/repository/models/{MODEL}/load")

    return run


def _ours(started: Engine, config: str) -> Deploy:
    def run(source: str) -> None:
        body = json.dumps({"source": source, "config": config, "origin": {"cell": "In[1]"}}).encode()
        last = json.loads(started.ask("POST", f"/api/models/{MODEL}/deploy", body).splitlines()[-1])
        if last["event"] != "ready":
            raise RuntimeError(f"not deployed: {last}")

    return run
