"""What a real Triton's models found, expression by expression, found again without a server."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pyserve_stub.messages import InferenceRequest, Tensor

from tests.golden.backend.scripted import source_of
from tests.golden.case import Case
from tests.golden.normalise import normalised
from tests.golden.record import SUITES

MODEL = Path(__file__).parents[1] / "golden" / "backend" / "models" / "scripted.py"
SUITE = SUITES["backend"]
SCENARIOS = ("surface", "tensors", "dlpack", "requests", "responses", "model_config")
#: What is asked is of the server, or of the process that serves.
SERVED = {
    "module_model_dir", "module_argv", "module_name_of_self", "module_path_order", "module_free_memory",
    "decoupled_policy_of_args", "request_exec_arguments", "request_incoming_outputs", "request_sender_of_made_sends",
    "request_sender_of_made_sends_final", "request_async_exec_without_loop",
}  # fmt: skip

PROBES = [
    (scenario.name, case)
    for scenario in SUITE.scenarios
    if scenario.name in SCENARIOS
    for case in scenario.cases
    if isinstance(case, Case) and b'"PROBE"' in case.request and case.name not in SERVED
]
EXPECTED = SUITE.expected()


@pytest.fixture(scope="module")
def model() -> Iterator[ModuleType]:
    options: dict[str, Any] = np.get_printoptions()  # type: ignore[assignment]
    spec = importlib.util.spec_from_file_location("scripted", MODEL)
    assert spec is not None
    assert spec.loader is not None
    importlib.import_module("triton_python_backend_utils")  # makes the native module, too
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    np.set_printoptions(**options)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(("scenario", "case"), PROBES, ids=[case.name for _, case in PROBES])
def test_finds_what_a_model_of_triton_finds(model: ModuleType, scenario: str, case: Case) -> None:
    probed: Callable[..., str] = model.probed
    source = source_of(case)
    given = Tensor("PROBE", np.array([source.encode()], object))
    request = InferenceRequest._incoming(1, "", 0, 0, 0, "{}", [given], ["TEXT", "OUT"])
    text = probed(source, request=request, self=SimpleNamespace(kept={}))
    assert normalised([{"TEXT": [text]}], {}) == EXPECTED[scenario][case.name]
