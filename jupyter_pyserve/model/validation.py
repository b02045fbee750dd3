"""Judges a model configuration in Triton's words, and reports everything that is wrong with it at once.

Owns the two stages: what is refused while a repository is read, and what is refused when the model is created. Must
not know files or devices; how many GPUs there are is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from jupyter_pyserve.model.defaults import ENSEMBLE_PLATFORM, PLATFORMS, PYTHON_BACKEND
from jupyter_pyserve.model.execution import execution_problems
from jupyter_pyserve.model.validation_ensemble import ensemble_problems
from jupyter_pyserve.model.validation_schedulers import scheduler_problems
from jupyter_pyserve.model.validation_states import state_problems
from jupyter_pyserve.model.validation_tensors import tensor_problems
from jupyter_pyserve.model.values import InstanceGroup, ModelConfig, Warmup

_PROBLEM_SEPARATOR: Final = "; "
_UNKNOWN_REQUEST: Final = "[request id: <id_unknown>] "


def validate_stage_a(config: ModelConfig) -> list[str]:
    """What is wrong in general and with schedulers; a model with such problems is not even listed as loading."""
    return [
        *_identity_problems(config),
        *_batch_size_problems(config),
        *scheduler_problems(config),
        *ensemble_problems(config),
    ]


def validate_stage_b(config: ModelConfig, *, gpus: int = 0, searched: Sequence[str] = ()) -> list[str]:
    """What is wrong with tensors, instances and warm-up; to be asked after auto-completion.

    `searched` are the directories where a runtime would have been looked for.
    """
    return [
        *_backend_problems(config, searched),
        *tensor_problems(config),
        *state_problems(config),
        *execution_problems(config),
        *_tag_problems(config),
        *(problem for group in config.instance_groups for problem in _group_problems(config, group, gpus)),
        *(problem for warmup in config.warmups for problem in _warmup_problems(config, warmup)),
    ]


def join_problems(problems: Sequence[str]) -> str:
    """One text for all; with a single problem exactly Triton's."""
    return _PROBLEM_SEPARATOR.join(problems)


def _identity_problems(config: ModelConfig) -> Iterator[str]:
    name = config.name
    if not name:
        yield "model configuration must specify 'name'"
    if not config.platform and not config.backend:
        yield (
            f"Invalid model name: Could not determine backend for model '{name}' with no backend in model "
            "configuration. Expected model name of the form 'model.<backend_name>'."
        )
    ensemble = config.platform == ENSEMBLE_PLATFORM
    if ensemble and config.backend:
        yield f"Ensemble model '{name}' must have platform type 'ensemble' and empty backend type"
    if config.platform and not config.backend and not ensemble:
        yield f"unexpected platform type '{config.platform}' for {name}"
    if config.backend in PLATFORMS and config.platform not in PLATFORMS[config.backend]:
        yield f"unexpected 'platform' and 'backend' pair, got:{config.platform}, {config.backend}"
    if ensemble and config.ensemble_scheduling is None and not config.backend:
        yield f"ensemble scheduling must be set for ensemble {name} whose platform is ensemble"
    if not ensemble and config.ensemble_scheduling is not None:
        yield f"ensemble scheduling cannot be set for model '{name}' whose platform is not ensemble"
    for agent in config.agents:
        yield f"unable to find 'libtritonrepoagent_{agent}.so' for repo agent '{agent}': none are supported here"


def _batch_size_problems(config: ModelConfig) -> Iterator[str]:
    if config.max_batch_size < 0:
        yield f"'max_batch_size' must be non-negative value for {config.name}"


def _backend_problems(config: ModelConfig, searched: Sequence[str]) -> Iterator[str]:
    if config.platform == ENSEMBLE_PLATFORM:
        return
    if config.runtime and not config.runtime.endswith(".py"):
        places = "".join(f"'{place}' " for place in searched)
        yield f"unable to find backend library '{config.runtime}' for model '{config.name}', searched: {places}"
    elif config.backend != PYTHON_BACKEND and not config.runtime:
        yield (
            f"unable to find backend library for backend '{config.backend}', "
            "try specifying runtime on the model configuration."
        )


def _tag_problems(config: ModelConfig) -> Iterator[str]:
    for key in config.metric_tags:
        # It becomes the label `_key`; one that is no name makes the whole page of metrics unreadable.
        if not re.fullmatch("[A-Za-z0-9_]*", key):
            yield f"metric tag '{key}' of model '{config.name}' must have letters, digits and underscores only"


def _group_problems(config: ModelConfig, group: InstanceGroup, gpus: int) -> Iterator[str]:
    subject = f"instance group {group.name} of model {config.name}"
    if group.profile:
        yield f"{subject} and platform specifies profile field which is only supported for TensorRT models"
    if group.kind != "KIND_GPU":
        if group.gpus:
            yield f"{subject} has kind {group.kind} but specifies one or more GPUs"
        return
    if not group.gpus:
        yield f"{subject} has kind KIND_GPU but no GPUs are available"
    usable = ", ".join(str(gpu) for gpu in range(gpus))
    for gpu in group.gpus:
        if not 0 <= gpu < gpus:
            yield (
                f"{subject} specifies invalid or unsupported gpu id {gpu}. GPUs with at least the minimum required "
                f"CUDA compute compatibility of 6.000000 are: {usable}"
            )


def _warmup_problems(config: ModelConfig, warmup: Warmup) -> Iterator[str]:
    if warmup.batch_size > max(1, config.max_batch_size):
        yield f"warmup sample '{warmup.name}' batch-size must be <= {max(1, config.max_batch_size)} for '{config.name}'"
    if warmup.batch_size == 0:
        return
    for tensor in warmup.inputs:
        if any(dim < 0 for dim in tensor.dims):
            yield (f"warmup setting expects all variable-size dimensions are specified for input '{tensor.name}'")
        if not tensor.source:
            yield f"{_UNKNOWN_REQUEST}warmup setting expects input '{tensor.name}' to have input_data_type set"
