"""The Python backend as a model meets it, chapter by chapter: cases for models that do what a request says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.golden.backend import (
    calling,
    control,
    executing,
    lifecycle,
    messages,
    metrics,
    model_config,
    rescheduling,
    streams,
    surface,
    tensors,
)
from tests.golden.backend.scripted import BATCHED, DECOUPLED, script, scripted, scripted_async
from tests.golden.case import ALONE, AnyCase, Files, Scenario

_EXPLICIT = ("--model-control-mode=explicit", "--load-model=*")
#: A Triton whose model hangs is not waited for.
_IMPATIENT = (*_EXPLICIT, "--exit-timeout-secs=1")

_DLPACK = "1.6 DLPack"
_CONTROL = "1.13 model control"
_LOADING = "2.1-2.6 loading"
_EXECUTING = "2.7-2.10, 4.2, 4.4 execute, senders of plain models"
_BLS = "3 business logic scripting"
_DECOUPLED = "4 decoupled models"

_ONE = {"script": scripted()}
_STREAMED = {"decoupled": scripted(DECOUPLED), "decoupled_async": scripted_async(DECOUPLED)}
_ASYNC = {"script_async": scripted_async()}
_CALLING = {**_ONE, **_ASYNC, **_STREAMED, "callee_async": scripted_async(), **calling.CALLEES}
#: Those of which a process dies are models of their own.
_MORTAL = ("dies", "killed", "requests_emptied")


def _surface(name: str, section: str, cases: Sequence[AnyCase]) -> Scenario:
    return Scenario(name=name, options=_EXPLICIT, texts=_ONE, cases=tuple(cases), together="surface", section=section)


def _alone(name: str, section: str, case: AnyCase, texts: Mapping[str, Files]) -> Scenario:
    return Scenario(name=name, options=_IMPATIENT, texts=texts, cases=(case,), together=ALONE, section=section)


def _hanging(name: str, source: str) -> Scenario:
    model = f"script_{name}" if name in _MORTAL else "script"
    return _alone(
        f"hangs_{name}", _EXECUTING, script(f"hang_{name}", source, model=model, timeout_s=3), {model: scripted()}
    )


SCENARIOS: tuple[Scenario, ...] = (
    _surface("surface", "1.1-1.4 module, constants, helpers", surface.CASES),
    _surface("tensors", "1.5 Tensor", tensors.TENSORS),
    _surface("dlpack", _DLPACK, tensors.DLPACK),
    _surface("requests", "1.7 InferenceRequest", messages.REQUESTS),
    _surface("responses", "1.8-1.10 InferenceResponse, TritonError, PreferredMemory", messages.RESPONSES),
    _surface("logger", "1.11 Logger", messages.LOGGER),
    _surface("model_config", "1.14 ModelConfig", model_config.CASES),
    _surface("metrics", "1.12 metrics", (*metrics.CASES, *metrics.EXPOSITION)),
    Scenario(
        name="executing",
        options=_EXPLICIT,
        texts={**_ONE, **_ASYNC, "batched": scripted(BATCHED)},
        cases=(*executing.CASES, *executing.ASYNC, *executing.BATCHES, *executing.UNARY),
        section=_EXECUTING,
    ),
    Scenario(
        name="streams",
        options=_EXPLICIT,
        texts={**_ONE, **_STREAMED},
        cases=(*streams.DECOUPLED, *streams.ASYNC, *streams.GENERATED, *streams.CANCELLED),
        section=_DECOUPLED,
    ),
    Scenario(name="calling", options=_EXPLICIT, texts=_CALLING, cases=calling.CASES, section=_BLS),
    Scenario(
        name="control",
        options=(_EXPLICIT[0], "--load-model=script"),
        texts=control.MODELS,
        cases=control.CASES,
        remembers=True,
        section=_CONTROL,
    ),
    Scenario(name="control_fixed", texts=_ONE, cases=control.FIXED, section=_CONTROL),
    Scenario(
        name="rescheduling",
        options=_EXPLICIT,
        texts=rescheduling.MODELS,
        cases=rescheduling.CASES,
        section="2.12 rescheduling, sequences",
    ),
    Scenario(name="lifecycle", options=_EXPLICIT[:1], texts=lifecycle.MODELS, cases=lifecycle.CASES, section=_LOADING),
    *(
        Scenario(
            name=f"setting_{name}",
            options=(_EXPLICIT[0], *(f"--backend-config=python,{setting}" for setting in settings)),
            texts=lifecycle.TINY,
            cases=lifecycle.setting_cases(name),
            section="5.3 settings",
        )
        for name, settings in lifecycle.SETTINGS.items()
    ),
    *(
        Scenario(
            name=f"load_hangs_{name}",
            options=(_EXPLICIT[0], "--exit-timeout-secs=1"),
            texts={name: files},
            cases=(lifecycle.load(f"hang_load_{name}", name, timeout_s=6),),
            together="load_hangs",
            section=_LOADING,
        )
        for name, files in lifecycle.HANGING.items()
    ),
    *(_hanging(name, source) for name, source in executing.HANGING.items()),
    *(
        _alone(
            f"hangs_{name}", _BLS, script(f"hang_{name}", source, timeout_s=3), {**_ONE, **_STREAMED, **calling.CIRCLE}
        )
        for name, source in calling.HANGING.items()
    ),
    *(_alone(f"stream_hangs_{name}", _DECOUPLED, case, _STREAMED) for name, case in streams.HANGING_CASES.items()),
    *(_alone(case.name, _DLPACK, case, _ONE) for case in tensors.CRASHING),
)
