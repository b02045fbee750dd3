"""Judges the dynamic batcher, the sequence batcher and the response cache of a configuration.

Owns the scheduler rules. Must not know tensors beyond the controls that a sequence batcher adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from jupyter_pyserve.model.scheduling import Control, DynamicBatching, QueuePolicy, SequenceBatching, TimeoutAction
from jupyter_pyserve.model.values import ModelConfig

_CORRID: Final = "CONTROL_SEQUENCE_CORRID"
_CORRID_TYPES: Final = frozenset({"TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING"})
_ALL_PAIRS: Final = "'int32_false_true', 'fp32_false_true' and 'bool_false_true'"
_ANY_PAIR: Final = "either 'int32_false_true', 'fp32_false_true' or 'bool_false_true'"


def scheduler_problems(config: ModelConfig) -> Iterator[str]:
    """Everything wrong with how requests are to be scheduled."""
    if config.dynamic_batching is not None:
        yield from _dynamic_problems(config, config.dynamic_batching)
    if config.sequence_batching is not None:
        yield from _sequence_problems(config, config.sequence_batching)
    yield from cache_problems(config)


def _dynamic_problems(config: ModelConfig, dynamic: DynamicBatching) -> Iterator[str]:
    yield from _preferred_problems(config, dynamic.preferred_batch_size, "dynamic batching preferred size")
    levels = dynamic.priority_levels
    if levels > 0:
        if not 1 <= dynamic.default_priority_level <= levels:
            yield f"default priority level must be in range [1, {levels}] for {config.name}"
        if any(not 1 <= level <= levels for level in dynamic.priority_queue_policy):
            yield f"priority queue policy must have priority level in range [1, {levels}] for {config.name}"
    if dynamic.preserve_ordering:
        if levels > 1:
            yield f"Only one priority level is allowed when 'preserve_ordering' is true for {config.name}"
        if any(_delays(policy) for policy in _policies(dynamic)):
            yield (
                f"Queue policy can not have DELAY as timeout action when 'preserve_ordering' is true for {config.name}"
            )


def _policies(dynamic: DynamicBatching) -> Iterable[QueuePolicy]:
    default = () if dynamic.default_queue_policy is None else (dynamic.default_queue_policy,)
    return (*default, *dynamic.priority_queue_policy.values())


def _delays(policy: QueuePolicy) -> bool:
    return policy.timeout_action is TimeoutAction.DELAY and policy.default_timeout_us != 0


def _preferred_problems(config: ModelConfig, preferred: tuple[int, ...], subject: str) -> Iterator[str]:
    if any(size <= 0 for size in preferred):
        yield f"{subject} must be positive for {config.name}"
    if any(size > max(0, config.max_batch_size) for size in preferred):
        yield f"{subject} must be <= max batch size for {config.name}"


def _sequence_problems(config: ModelConfig, sequence: SequenceBatching) -> Iterator[str]:
    if sequence.oldest is not None:
        preferred = sequence.oldest.preferred_batch_size
        yield from _preferred_problems(config, preferred, "sequence batching preferred batch size")
    if sequence.direct is not None and not 0.0 <= sequence.direct.minimum_slot_utilization <= 1.0:
        yield f"sequence batching minimum slot utilization must be in range (0.0, 1.0] for {config.name}"
    seen: set[str] = set()
    tensors: set[str] = set()
    for control_input in sequence.control_inputs:
        name = control_input.name
        if not name:
            yield f"sequence batching control tensor must have a name for {config.name}"
        elif name in tensors:
            yield f"sequence batching control tensor '{name}' is specified for multiple control kinds for {config.name}"
            continue
        tensors.add(name)
        for control in control_input.controls:
            if control.kind in seen:
                yield f"sequence batching specifies multiple {control.kind} tensors for {config.name}"
            seen.add(control.kind)
            yield from _control_problems(config, control)


def _control_problems(config: ModelConfig, control: Control) -> Iterator[str]:
    subject = f"{control.kind} for {config.name}"
    pairs = {
        "int32_false_true": len(control.int32_false_true),
        "fp32_false_true": len(control.fp32_false_true),
        "bool_false_true": len(control.bool_false_true),
    }
    given = {name: count for name, count in pairs.items() if count}
    if control.kind == _CORRID:
        if given:
            yield f"sequence batching must not specify {_ANY_PAIR} for {subject}"
        if control.data_type not in _CORRID_TYPES:
            yield (
                f"unexpected data type for control {subject}. Allowed data types are TYPE_UINT64, TYPE_INT64, "
                "TYPE_UINT32, TYPE_INT32 and TYPE_STRING"
            )
        return
    if not given:
        yield f"sequence batching must specify {_ANY_PAIR} for {subject}"
    if len(given) > 1:
        yield f"sequence batching specifies more than one from {_ALL_PAIRS} for {subject}"
    for name, count in given.items():
        if count != 2:
            yield f"sequence batching control '{name}' must have exactly 2 entries for {subject}"


def cache_problems(config: ModelConfig) -> Iterator[str]:
    """Why its answers cannot be kept, if they should be."""
    if not config.response_cache:
        return
    subject = f"Response Cache does not currently support model {config.name} with"
    if config.sequence_batching is not None:
        yield f"{subject} sequence batching scheduler. Please disable the response cache."
    if config.decoupled:
        yield f"{subject} 'decoupled' transaction policy. Please disable the response cache."
