"""The table of cases, by chapter of the protocol; the order matters only where a chapter changes what is loaded."""

from __future__ import annotations

from tests.golden.case import Case, Scenario
from tests.golden.cases import (
    caching,
    classification,
    compressed,
    data_in_json,
    datatypes,
    ensembles,
    fixed_models,
    guarded,
    health,
    infer_binary,
    infer_json,
    infer_raw,
    loading,
    metadata,
    model_errors,
    model_outputs,
    overrides,
    parameters,
    repository,
    reshaping,
    settings,
    statistics,
    transport,
    validation,
)
from tests.golden.repository import HEALTHY

_EXPLICIT: tuple[Case, ...] = (
    *health.CASES,
    *transport.CASES,
    *metadata.CASES,
    *statistics.CASES,
    *infer_json.CASES,
    *data_in_json.CASES,
    *datatypes.CASES,
    *infer_binary.CASES,
    *infer_raw.CASES,
    *parameters.CASES,
    *validation.CASES,
    *model_outputs.CASES,
    *model_errors.CASES,
    *repository.CASES,
    *loading.CASES,
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="explicit",
        options=("--model-control-mode=explicit", *(f"--load-model={name}" for name in HEALTHY)),
        cases=_EXPLICIT,
    ),
    Scenario(name="none", models=("minimal",), cases=fixed_models.CASES),
    Scenario(
        name="overrides",
        options=("--model-control-mode=explicit", "--load-model=minimal"),
        models=("minimal",),
        cases=overrides.CASES,
    ),
    Scenario(
        name="extensions",
        models=("classes", "flat_classes", "chained_classes", "identity", "reshaping"),
        cases=(*classification.CASES, *compressed.CASES, *reshaping.CASES),
    ),
    Scenario(name="guarded", options=guarded.OPTIONS, models=("behave",), cases=guarded.CASES),
    Scenario(name="caching", options=caching.OPTIONS, texts=caching.MODELS, cases=caching.CASES),
    Scenario(name="ensembles", options=ensembles.OPTIONS, texts=ensembles.MODELS, cases=ensembles.CASES),
    Scenario(name="settings", models=("minimal",), cases=settings.CASES),
)
