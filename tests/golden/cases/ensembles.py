"""Ensembles: what is left out, batches that come and go, shapes of their own, and what does not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from tests.golden.case import Case, Files, infer, post, tensor
from tests.golden.cases.texts import IN, OUT, ensemble, model, step, tensors

_SAME = "made = {'O': given['I']}"
_WIDE: dict[str, Any] = {"given": tensors("input", "I", dims="-1, -1"), "made": tensors("output", "O", dims="-1, -1")}
_SHAPED: dict[str, Any] = {
    "given": tensors("input", "I", dims="2, 3", more="reshape { shape: [ 6 ] }"),
    "made": tensors("output", "O", dims="3, 2", more="reshape { shape: [ 6 ] }"),
}
_OPTIONAL = tensors("input", "A B", more="optional: true")

OPTIONS = ("--model-control-mode=explicit",)
MODELS: Mapping[str, Files] = {
    "same": model(_SAME),
    "single": model(_SAME, batch=0),
    "wide": model(_SAME, batch=0, **_WIDE),
    "nothing": model("made = {}"),
    "zero": model("made = {'O': np.zeros((1, 0), np.float32)}"),
    "pair": model("made = {'O': given['A'] + given['B']}", given=tensors("input", "A B")),
    "optional": model(
        "made = {{'A': 'O', 'B': 'P'}[name]: array for name, array in given.items()}",
        given=_OPTIONAL,
        made=tensors("output", "O P"),
    ),
    "gap": ensemble(step("nothing", "I", "T"), step("same", "T", "O")),
    "end": ensemble(step("same", "I", "T"), step("nothing", "T", "O")),
    "empty": ensemble(step("zero", "I", "O")),
    "to_single": ensemble(step("single", "I", "T"), step("same", "T", "O")),
    "to_wide": ensemble(step("wide", "I", "T"), step("same", "T", "O")),
    "from_single": ensemble(step("same", "I", "T"), step("single", "T", "O"), batch=0),
    "from_wide": ensemble(step("wide", "I", "T"), step("same", "T", "O"), batch=0, **_WIDE),
    "shaped": ensemble(step("same", "I", "O"), **_SHAPED),
    "shaped_single": ensemble(step("single", "I", "O"), batch=0, **_SHAPED),
    "shape": ensemble(step("single", "I", "O"), batch=0, given=tensors("input", "I", dims="2, 3"), made=OUT),
    "unmapped": ensemble(("pair", {"A": "I"}, {"O": "O"}), given=IN),
    "connected": ensemble(
        ("optional", {"A": "A", "B": "B"}, {"O": "S", "P": "T"}),
        ("optional", {"A": "S", "B": "T"}, {"O": "O", "P": "P"}),
        given=_OPTIONAL,
        made=tensors("output", "O P"),
    ),
}
_LOADED = ("gap", "end", "empty", "to_single", "to_wide", "from_single", "from_wide", "shaped", "shaped_single")


def _ask(number: int, name: str, shape: Sequence[int], names: str = "I", **more: object) -> Case:
    inputs = [tensor(item, "FP32", shape, list(range(prod(shape)))) for item in names]
    return infer(f"ensemble_{name}_{number}", name, {"inputs": inputs, **more})


CASES: tuple[Case, ...] = (
    *(
        post(f"ensemble_{name}_load", f"/v2/repository/models/{name}/load")
        for name in (*_LOADED, "connected", "shape", "unmapped")
    ),
    *(_ask(1, name, [1, 2]) for name in ("gap", "end", "empty")),
    *(_ask(rows, name, [rows, 2]) for name in ("to_single", "to_wide", "from_wide") for rows in (1, 2)),
    _ask(5, "from_wide", [5, 2]),
    _ask(1, "from_single", [2]),
    _ask(1, "shaped", [1, 2, 3]),
    _ask(2, "shaped", [2, 2, 3]),
    _ask(3, "shaped", [1, 3, 2]),
    _ask(1, "shaped_single", [2, 3]),
    _ask(1, "connected", [1, 2], "A"),
    _ask(2, "connected", [1, 2], "B"),
    _ask(3, "connected", [1, 2], "AB", outputs=[{"name": "O"}]),
    _ask(4, "connected", [1, 2], "B", outputs=[{"name": "O"}]),
)
