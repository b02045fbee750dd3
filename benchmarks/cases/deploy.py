"""From a cell's source to a READY model: our deploy beside Triton's load of a model file that was written again.

The unchanged case compares unlike things, and says so: we see that the source is the same and keep the model, Triton
sees a newer file and loads it. In the edited case both load.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import Bench
from benchmarks.engine import Engine, engine
from benchmarks.metrics import OURS, TRITON, Metric, Sample
from benchmarks.servers import Running

MODEL = "add_one"

UNCHANGED = Metric(
    name="deploy a small model, same source (ours keeps it, Triton reloads), to READY", unit="ms", limit=150
)
EDITED = Metric(name="deploy a small model, edited (both load), to READY", unit="ms")

SETTLE_S = 2.0  # Triton goes on unloading the old version for a second: not to be paid by the other

_ADDED = "values + 1"
_REQUEST = b'{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[0]}]}'

Deploy = Callable[[str], None]
Ask = Callable[[str, str, bytes], bytes]


@dataclass(frozen=True, slots=True)
class _Deployer:
    name: str
    deploy: Deploy
    ask: Ask

    def check(self, expected: float) -> None:
        """READY is only worth something if the new code answers."""
        answer = json.loads(self.ask("POST", f"/v2/models/{MODEL}/infer", _REQUEST))
        if answer["outputs"][0]["data"] != [expected]:
            raise RuntimeError(f"{self.name} is not serving what was deployed: {answer}")


def deploy(bench: Bench) -> Iterator[tuple[str, Sample]]:
    """Triton is always given a newer file: one that was not touched it does not load at all."""
    with contextlib.ExitStack() as stack:
        deployers: list[_Deployer] = []
        for server in bench.servers:
            repository = bench.scratch / f"deploy-{server.name}"
            if server.name == TRITON:
                shutil.copytree(bench.models / MODEL, repository / MODEL)
                started = stack.enter_context(server.start(repository, ["--model-control-mode=explicit"]))
                deployers.append(_Deployer(TRITON, _triton(started), started.ask))
            else:
                repository.mkdir()
                runtime = bench.scratch / "deploy-run"
                started_engine = stack.enter_context(engine(bench.ours, repository=repository, runtime=runtime))
                config = (bench.models / MODEL / "config.pbtxt").read_text()
                deployers.append(_Deployer(OURS, _ours(started_engine, config), started_engine.ask))
        yield from _rounds(bench, deployers)


def _rounds(bench: Bench, deployers: list[_Deployer]) -> Iterator[tuple[str, Sample]]:
    source = (bench.models / MODEL / "1" / "model.py").read_text()
    for each in deployers:
        each.deploy(source)
    for number in range(2, 2 + bench.rounds):
        edited = source.replace(_ADDED, f"values + {number}")
        for each in deployers:
            unchanged_ms = _milliseconds(each.deploy, source)
            each.check(1)
            edited_ms = _milliseconds(each.deploy, edited)
            each.check(number)
            each.deploy(source)
            time.sleep(SETTLE_S)
            yield each.name, {UNCHANGED: unchanged_ms, EDITED: edited_ms}


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
