"""Judges the implicit states of a sequence batcher, with Triton's texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from jupyter_pyserve.model.scheduling import InitialState, State
from jupyter_pyserve.model.values import ModelConfig


def state_problems(config: ModelConfig) -> Iterator[str]:
    """Everything wrong with them."""
    states = config.sequence_batching.states if config.sequence_batching is not None else ()
    for state in states:
        if len(state.initial) > 1:
            yield (
                f"initial_state field for state input '{state.input_name}' must contain exactly one or zero element. "
                f"Found '{len(state.initial)}' elements."
            )
        elif state.initial:
            yield from _initial_problems(state, state.initial[0])
        if state.use_growable_memory:
            yield from _growable_problems(state)
    counts = Counter(state.input_name for state in states if state.initial)
    for name, count in counts.items():
        if count > 1:
            yield f"State input name '{name}' specified more than once."


def _initial_problems(state: State, initial: InitialState) -> Iterator[str]:
    name = state.input_name
    if initial.data_type != state.data_type:
        yield f"The data type used for 'initial_state' field of state '{name}' does not match the state data type."
    if not initial.name:
        yield f"Field 'name' must be set when using initial_state for state input '{name}'."
    if len(initial.dims) != len(state.dims):
        yield (
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input "
            f"'{name}'. {len(initial.dims)} != {len(state.dims)}"
        )
    elif any(dim < 0 for dim in initial.dims):
        yield f"'initial_state' field for state input name '{name}' contains variable dimensions."
    else:
        for own, other in zip(initial.dims, state.dims):
            if other not in (-1, own):
                yield (
                    f"'initial_state' dim for input name '{name}' doesn't match 'state' dim description. "
                    f"{own} != {other}"
                )
    if not initial.zero_data and not initial.data_file:
        yield f"initial_state setting expects state'{name}' to have state_data set"


def _growable_problems(state: State) -> Iterator[str]:
    if not state.use_same_buffer:
        yield (
            "In order to 'use_growable_memory', you must also enable 'use_single_buffer' for state input name "
            f"'{state.input_name}'."
        )
    yield (
        "'use_growable_memory' can only work with KIND_GPU model instances right now. Please either change the "
        f"instance type to KIND_GPU or set 'use_growable_memory' to false for state input '{state.input_name}'."
    )
