"""The table of cases, by chapter of the protocol; the order matters only where a chapter changes what is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from tests.golden.case import AnyCase, Case, Scenario
from tests.golden.cases import (
    caching,
    classification,
    client_memory,
    compressed,
    configurations,
    data_in_json,
    datatypes,
    ensembles,
    fixed_models,
    grpc_infer,
    grpc_methods,
    guarded,
    health,
    infer_binary,
    infer_json,
    infer_raw,
    loading,
    measured,
    metadata,
    model_errors,
    model_outputs,
    overrides,
    parameters,
    repository,
    reshaping,
    scheduled,
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
    Scenario(name="grpc_methods", options=grpc_methods.OPTIONS, models=grpc_methods.MODELS, cases=grpc_methods.CASES),
    Scenario(
        name="configurations",
        options=configurations.OPTIONS,
        texts=configurations.MODELS,
        cases=configurations.CASES,
    ),
    Scenario(name="client_memory", texts=client_memory.MODELS, cases=client_memory.CASES),
    Scenario(name="scheduled", texts=scheduled.MODELS, cases=scheduled.CASES),
    Scenario(name="measured", models=("minimal",), cases=measured.CASES),
    Scenario(name="grpc_infer", options=grpc_infer.OPTIONS, models=grpc_infer.MODELS, cases=grpc_infer.CASES),
)

#: What the cases are about, by chapters of the protocol.
CHAPTERS: Mapping[str, tuple[AnyCase, ...]] = {
    "1.1 transport, routes": transport.CASES,
    "1.3 health": health.CASES,
    "1.4-1.6 metadata, configuration": metadata.CASES,
    "1.8 inference in JSON": (*infer_json.CASES, *data_in_json.CASES, *datatypes.CASES, *model_outputs.CASES),
    "1.9 binary tensors": infer_binary.CASES,
    "1.10 raw requests": infer_raw.CASES,
    "1.11, 1.16 parameters, headers; 1.17 restricted": (*parameters.CASES, *guarded.CASES),
    "1.12 classification": classification.CASES,
    "1.13 compression": compressed.CASES,
    "1.15, 5 repository": (*repository.CASES, *fixed_models.CASES, *overrides.CASES),
    "1.18 shared memory": client_memory.CASES,
    "1.19, 1.20 settings": settings.CASES,
    "2.1, 2.4, 2.7 methods of gRPC": grpc_methods.CASES,
    "2.2, 2.3, 2.5 inference over gRPC": grpc_infer.CASES,
    "3 errors of models": model_errors.CASES,
    "4 models that load, and that do not": (*loading.CASES, *reshaping.CASES),
    "4.2-4.8 configurations": configurations.CASES,
    "4.9 validation of requests": validation.CASES,
    "6.3, 6.4 queues and sequences": scheduled.CASES,
    "6.7, 4.7 ensembles": ensembles.CASES,
    "6.8 response cache": caching.CASES,
    "7.1 statistics": statistics.CASES,
    "7.3 metrics": measured.CASES,
}
