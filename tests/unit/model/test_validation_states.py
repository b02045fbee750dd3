from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import parse_pbtxt
from jupyter_pyserve.model.validation_states import state_problems

FINE = 'name: "i" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true'


def problems(*states: str, dims: str = "1") -> list[str]:
    head = f'input_name: "S" output_name: "T" data_type: TYPE_INT32 dims: [ {dims} ]'
    listed = " ".join(f"state {{ {head} {state} }}" for state in states)
    text = f'backend: "python" max_batch_size: 2 sequence_batching {{ {listed} }}'
    return list(state_problems(parse_pbtxt(text, model_name="m", path="p")))


def initial(text: str) -> str:
    return f"initial_state {{ {text} }}"


@pytest.mark.parametrize(
    ("state", "dims"),
    [
        ("", "1"),
        ("", "-1"),
        (initial(FINE), "1"),
        (initial(FINE), "-1"),
        (initial(FINE.replace("zero_data: true", 'data_file: "f"')), "1"),
        (initial(FINE.replace("true", "false")), "1"),
    ],
)
def test_states_that_are_fine(state: str, dims: str) -> None:
    assert problems(state, dims=dims) == []


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        (
            [initial(FINE) + initial(FINE)],
            "initial_state field for state input 'S' must contain exactly one or zero element. Found '2' elements.",
        ),
        (
            [initial(FINE.replace("INT32", "INT64"))],
            "The data type used for 'initial_state' field of state 'S' does not match the state data type.",
        ),
        (
            [initial(FINE.replace('name: "i"', ""))],
            "Field 'name' must be set when using initial_state for state input 'S'.",
        ),
        (
            [initial(FINE.replace("[ 1 ]", "[ 1, 1 ]"))],
            "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input 'S'. "
            "2 != 1",
        ),
        (
            [initial(FINE.replace("[ 1 ]", "[ -1 ]"))],
            "'initial_state' field for state input name 'S' contains variable dimensions.",
        ),
        (
            [initial(FINE.replace("[ 1 ]", "[ -2 ]"))],
            "'initial_state' field for state input name 'S' contains variable dimensions.",
        ),
        (
            [initial(FINE.replace("[ 1 ]", "[ 3 ]"))],
            "'initial_state' dim for input name 'S' doesn't match 'state' dim description. 3 != 1",
        ),
        (
            [initial(FINE.replace("zero_data: true", ""))],
            "initial_state setting expects state'S' to have state_data set",
        ),
        ([initial(FINE), initial(FINE)], "State input name 'S' specified more than once."),
        (
            ["use_growable_memory: true use_same_buffer_for_input_output: true"],
            "'use_growable_memory' can only work with KIND_GPU model instances right now. Please either change the "
            "instance type to KIND_GPU or set 'use_growable_memory' to false for state input 'S'.",
        ),
    ],
)
def test_each_problem_is_named(states: list[str], problem: str) -> None:
    assert problems(*states) == [problem]


def test_memory_that_grows_is_one_buffer() -> None:
    first, _ = problems("use_growable_memory: true")
    assert first == (
        "In order to 'use_growable_memory', you must also enable 'use_single_buffer' for state input name 'S'."
    )


def test_without_sequences_there_are_no_states() -> None:
    assert list(state_problems(parse_pbtxt('backend: "python"', model_name="m", path="p"))) == []
