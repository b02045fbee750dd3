"""Judges the steps of an ensemble as far as its own configuration goes.

Owns the rules on steps and data flow by name, and (`member_problems`) on how the members fit together once they are
known by their signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jupyter_pyserve.model.ensembles import EnsembleGraph
from jupyter_pyserve.model.reshaping import agree
from jupyter_pyserve.model.scheduling import EnsembleScheduling, EnsembleStep
from jupyter_pyserve.model.signature import Signature, TensorSpec, config_datatype
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


@dataclass(frozen=True, slots=True)
class _Known:
    """An ensemble tensor as one of the models that it touches declares it."""

    model: str
    datatype: str
    dims: tuple[int, ...]
    full_dims: tuple[int, ...]

    @classmethod
    def of(cls, signature: Signature, spec: TensorSpec) -> _Known:
        full = (-1, *spec.dims) if signature.max_batch_size > 0 else spec.dims
        return cls(signature.model_name, spec.datatype, spec.dims, full)

    @classmethod
    def inside(cls, ensemble: Signature, spec: TensorSpec) -> _Known:
        """One of the ensemble's own, as its members see it."""
        return cls.of(ensemble, spec if spec.reshape is None else replace(spec, dims=spec.reshape))


def member_problems(ensemble: Signature, graph: EnsembleGraph, members: Mapping[int, Signature]) -> list[str]:
    """Whether the tensors of the members, by step, are what the ensemble makes of them; Triton's texts."""
    known = {
        name: _Known.inside(ensemble, spec)
        for tensors in (ensemble.inputs, ensemble.outputs)
        for name, spec in tensors.items()
    }
    problems: list[str] = []
    for step in graph.steps:
        member = members[step.index]
        for own, tensors, missing in (
            (step.inputs, member.inputs, "is mapping to non-existing input"),
            (step.outputs, member.outputs, "is mapped from non-existing output"),
        ):
            for name, tensor in own.items():
                where = f"in ensemble {ensemble.model_name}, ensemble tensor {tensor}"
                spec = tensors.get(name)
                if spec is None:
                    problems.append(f"{where} {missing} {name} in model {step.model}")
                    continue
                mine = _Known.of(member, spec)
                problem = _inconsistency(known.setdefault(tensor, mine), mine)
                problems += [f"{where}: {problem}"] if problem else []
        problems += [
            f"in ensemble {ensemble.model_name}, input {name} in model {step.model} "
            "is not mapped to any ensemble tensors"
            for name in member.inputs
            if name in member.required and name not in step.inputs
        ]
    return problems


def _inconsistency(first: _Known, second: _Known) -> str:
    told = f"is inferred from model {first.model} while"
    if first.datatype != second.datatype:
        types = config_datatype(first.datatype), config_datatype(second.datatype)
        return f"inconsistent data type: {types[0]} {told} {types[1]} is inferred from model {second.model}"
    # A member without a batch dimension may spell it out.
    if agree(first.dims, second.dims) or agree(first.full_dims, second.full_dims):
        return ""
    shapes = f"{_text(first.full_dims)} {told} {_text(second.full_dims)}"
    return f"inconsistent shape: {shapes} is inferred from model {second.model}"


def _text(dims: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, dims))}]"
