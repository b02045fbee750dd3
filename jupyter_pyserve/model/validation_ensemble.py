"""Judges the steps of an ensemble as far as its own configuration goes.

Owns the rules on steps and data flow by name, and (`member_problems`) on how the members fit together once they are
known by their signatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jupyter_pyserve.model.defaults import ENSEMBLE_PLATFORM
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
    yield from _foreign_problems(config)
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


def _foreign_problems(config: ModelConfig) -> Iterator[str]:
    """What is said of instances, which an ensemble has none of; other models have got theirs by default."""
    if config.platform != ENSEMBLE_PLATFORM:
        return
    if config.instance_groups:
        yield f"instance group should not be specified for ensemble '{config.name}'"
    if config.mentions("optimization"):
        yield f"optimization should not be specified for ensemble '{config.name}'"
    if config.warmups:
        yield f"model_warmup can not be specified for ensemble '{config.name}'"


def _step_problems(config: ModelConfig, index: int, step: EnsembleStep) -> Iterator[str]:
    for field, value in (
        ("model_name", step.model_name),
        ("input_map", step.input_map),
        ("output_map", step.output_map),
    ):
        if not value:
            yield f"must specify '{field}' in step {index} of ensemble '{config.name}'"


def _flow_problems(config: ModelConfig, ensemble: EnsembleScheduling, produced: set[str]) -> Iterator[str]:
    read = set[str]().union(*(step.input_map.values() for step in ensemble.steps))
    used = produced | read
    # The lone quote is how the text is known.
    loose = [
        f"ensemble input '{t.name}' for ensemble {config.name}' is not used"
        for t in config.inputs
        if t.name not in used
    ]
    sources = _sources(ensemble)
    made = _made({tensor.name for tensor in config.inputs}, sources)
    for output in config.outputs:
        if output.name not in used:
            loose.append(f"ensemble output '{output.name}' for ensemble {config.name}' is not used")
        elif output.name not in made and all(tensor.name in used for tensor in config.inputs):
            loose.append(_unwritten(config, output.name, sources, made))
    yield from loose
    if not loose:
        ends = {output.name for output in config.outputs}
        for tensor in sorted(used - ends):
            if tensor not in made or tensor not in read:
                yield f"ensemble tensor '{tensor}' is unused in ensemble '{config.name}'"


def _sources(ensemble: EnsembleScheduling) -> dict[str, set[str]]:
    """What each tensor that a step makes is made of."""
    sources: dict[str, set[str]] = {}
    for step in ensemble.steps:
        for tensor in step.output_map.values():
            sources.setdefault(tensor, set()).update(step.input_map.values())
    return sources


def _made(given: set[str], sources: Mapping[str, set[str]]) -> set[str]:
    """The tensors that there will be, from those that are given."""
    made = set(given)
    while new := {tensor for tensor, needed in sources.items() if tensor not in made and needed <= made}:
        made |= new
    return made


def _unwritten(config: ModelConfig, output: str, sources: Mapping[str, set[str]], made: set[str]) -> str:
    text = f"output '{output}' for ensemble '{config.name}' is not written"
    seen = {output}
    while new := set[str]().union(*(sources.get(tensor, ()) for tensor in seen)) - seen - made:
        seen |= new
    missing = sorted(seen - sources.keys())
    return f"{text}: at least one of its depending tensors, '{missing[0]}', is not connected" if missing else text


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
        if 0 < member.max_batch_size < ensemble.max_batch_size:
            problems.append(
                f"ensemble {ensemble.model_name} allows maximum batch size {ensemble.max_batch_size}, but it contains "
                f"model {member.model_name} which only allows maximum batch size to be {member.max_batch_size}"
            )
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
    return problems or [*_branching_problems(ensemble, graph, members, known)]


def _branching_problems(
    ensemble: Signature, graph: EnsembleGraph, members: Mapping[int, Signature], known: Mapping[str, _Known]
) -> Iterator[str]:
    """Tensors that meet come from the same responses of the same decoupled step, or all of them from none."""
    origins = dict.fromkeys(ensemble.inputs, -1)
    waiting = list(graph.steps)
    while ready := [step for step in waiting if all(tensor in origins for tensor in step.inputs.values())]:
        for step in ready:
            waiting.remove(step)
            met = {origins[tensor] for tensor in step.inputs.values()}
            if len(met) > 1:
                yield _mixed(ensemble, known[next(iter(step.outputs.values()))].model)
                return
            origin = step.index if members[step.index].decoupled else min(met)
            origins.update(dict.fromkeys(step.outputs.values(), origin))
    if len({origins[name] for name in ensemble.outputs if name in origins}) > 1:
        yield _mixed(ensemble, ensemble.model_name)


def _mixed(ensemble: Signature, model: str) -> str:
    # The model is the one that first told what the tensor is: for an output of the ensemble, the ensemble itself.
    return (
        f"in ensemble {ensemble.model_name}, step of model '{model}' receives inputs originated from different "
        "decoupled models"
    )


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
