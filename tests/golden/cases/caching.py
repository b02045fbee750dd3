"""Answers that are kept: of models, of ensembles and of their members. The models number their executions."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import AnyCase, Case, Files, Scrape, get, infer, post, statistics, tensor
from tests.golden.cases.texts import ensemble, model, step, tensors

_CACHED = "response_cache { enable: true }"
_COUNT = "made = {'O': given['I'] + self.count}"

OPTIONS = (
    "--model-control-mode=explicit",
    "--cache-config=local,size=100000",
    *(f"--load-model={name}" for name in ("one", "keyed", "two", "failing", "whole", "partly", "both")),
)
MODELS: Mapping[str, Files] = {
    "one": model(_COUNT, more=_CACHED),
    "keyed": model(_COUNT, more=_CACHED),
    "two": model(
        "made = {'O': given['I'] + self.count, 'P': -given['I']}", made=tensors("output", "O P"), more=_CACHED
    ),
    "failing": model("raise ValueError('no')", more=_CACHED),
    "plain": model(_COUNT),
    "decoupled": model(_COUNT, more="model_transaction_policy { decoupled: true }"),
    "refused": model(_COUNT, more=f"{_CACHED} model_transaction_policy {{ decoupled: true }}"),
    "sequence": model(_COUNT, more=f"{_CACHED} sequence_batching {{ }}"),
    "whole": ensemble(step("plain", "I", "T"), step("plain", "T", "O"), more=_CACHED),
    "partly": ensemble(step("one", "I", "T"), step("plain", "T", "O")),
    "both": ensemble(step("one", "I", "O"), more=_CACHED),
    "several": ensemble(step("decoupled", "I", "O"), more=_CACHED),
}


def _ask(number: int, name: str, values: list[float], shape: list[int] | None = None, **more: object) -> Case:
    given = tensor("I", "FP32", shape or [1, len(values)], values)
    return infer(f"cache_{name}_{number}", name, {"inputs": [given], **more})


def _scraped(family: str) -> tuple[str, ...]:
    return tuple(f'{family}{{model="{name}"' for name in ("one", "failing", "plain", "whole", "partly", "both"))


CASES: tuple[AnyCase, ...] = (
    _ask(1, "one", [0, 0]),
    _ask(2, "one", [0, 0]),
    _ask(3, "one", [0, 0], id="named"),
    _ask(4, "one", [0, 0], parameters={"priority": 1, "timeout": 100000}),
    _ask(5, "one", [0, 1]),
    _ask(6, "one", [0, 0, 0, 0], [2, 2]),
    _ask(7, "one", [0, 0, 0, 0], [2, 2]),
    statistics("cache_one_statistics", "one"),
    _ask(1, "keyed", [0, 0, 0, 0], [2, 2]),
    _ask(2, "keyed", [0, 0, 0, 0], [1, 4]),
    _ask(3, "keyed", [0, 0, 0, 0], [2, 2], parameters={"own": 1}),
    _ask(1, "two", [5, 5], outputs=[{"name": "O"}]),
    _ask(2, "two", [5, 5], outputs=[{"name": "O"}]),
    _ask(3, "two", [5, 5], outputs=[{"name": "P"}]),
    _ask(1, "failing", [0, 0]),
    _ask(2, "failing", [0, 1]),
    _ask(1, "whole", [7, 7]),
    _ask(2, "whole", [7, 7]),
    statistics("cache_whole_statistics", "whole"),
    statistics("cache_whole_members_statistics", "plain"),
    _ask(1, "partly", [7, 7]),
    _ask(2, "partly", [7, 7]),
    statistics("cache_partly_statistics", "partly"),
    _ask(1, "both", [8, 8]),
    _ask(2, "both", [8, 8]),
    statistics("cache_both_statistics", "both"),
    post("cache_of_decoupled", "/v2/repository/models/refused/load"),
    post("cache_of_sequences", "/v2/repository/models/sequence/load"),
    post("cache_of_decoupled_members", "/v2/repository/models/several/load"),
    get("cache_config", "/v2/models/one/config"),
    Scrape(name="cache_hits", words=_scraped("nv_cache_num_hits_per_model")),
    Scrape(name="cache_misses", words=_scraped("nv_cache_num_misses_per_model")),
)
