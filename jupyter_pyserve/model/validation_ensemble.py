"""Judges the steps of an ensemble as far as its own configuration goes.

Owns the rules on steps and data flow by name. Must not know the members; whether they fit is asked when they load.
"""

from __future__ import annotations

from collections.abc import Iterator

from jupyter_pyserve.model.scheduling import EnsembleScheduling, EnsembleStep
from jupyter_pyserve.model.values import ModelConfig


def ensemble_problems(config: ModelConfig) -> Iterator[str]:
    """Everything wrong with an ensemble's steps; nothing for other models."""
    ensemble = config.ensemble_scheduling
    if ensemble is None:
        return
    if not ensemble.steps:
        yield f"must specify 'step' for ensemble '{config.name}'"
        return
    produced: set[str] = set()
    for index, step in enumerate(ensemble.steps):
        yield from _step_problems(config, index, step)
        for tensor in step.output_map.values():
            if tensor in produced:
                yield (
                    f"ensemble tensor '{tensor}' can appear in an output map only once "
                    f"for ensemble '{config.name}' step {index}"
                )
            produced.add(tensor)
    yield from _flow_problems(config, ensemble, produced)


def _step_problems(config: ModelConfig, index: int, step: EnsembleStep) -> Iterator[str]:
    for field, value in (
        ("model_name", step.model_name),
        ("input_map", step.input_map),
        ("output_map", step.output_map),
    ):
        if not value:
            yield f"must specify '{field}' in step {index} of ensemble '{config.name}'"


def _flow_problems(config: ModelConfig, ensemble: EnsembleScheduling, produced: set[str]) -> Iterator[str]:
    used = produced.union(*(step.input_map.values() for step in ensemble.steps))
    # The lone quote is how the text is known.
    for tensor in config.inputs:
        if tensor.name not in used:
            yield f"ensemble input '{tensor.name}' for ensemble {config.name}' is not used"
    for output in config.outputs:
        if output.name not in used:
            yield f"ensemble output '{output.name}' for ensemble {config.name}' is not used"
