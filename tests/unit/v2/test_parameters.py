from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.parameters import Parameters, read_parameters


def read(parameters: Any, header: bytes = b"") -> Parameters:
    return read_parameters({"parameters": parameters}, header)


def refusal(parameters: Any) -> PyServeError:
    with pytest.raises(PyServeError) as caught:
        read(parameters)
    return caught.value


def test_none_at_all() -> None:
    assert read_parameters({}, b"") == Parameters()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (True, True),
        ("x", "x"),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63, float(2**63)),
        (1.5, 1.5),
        (math.inf, math.inf),
    ],
)
def test_values_for_the_model(given: Any, kept: Any) -> None:
    values = read({"x": given}).values
    assert values == {"x": kept}
    assert type(values["x"]) is type(kept)


def test_numbers_that_no_double_holds() -> None:
    for text in (b"1e999", b"9" * 400):
        with pytest.raises(PyServeError, match="Number too big"):
            read({"x": math.inf if b"e" in text else int(text)}, b'{"x":%b}' % text)


def test_controls_are_kept_from_the_model() -> None:
    found = read({"sequence_id": "s", "sequence_start": False, "sequence_end": True, "priority": 1, "timeout": 2})
    assert found == Parameters(correlation_id="s", flags=2, priority=1, timeout_us=2)


@pytest.mark.parametrize("name", ["sequence_id", "sequence_start", "priority", "timeout", "binary_data_output"])
def test_controls_of_the_wrong_type(name: str) -> None:
    error = refusal({name: -1.5})
    assert error.code is Code.INTERNAL
    assert error.message.startswith(f"Unable to parse '{name}': attempt to access JSON non-")


@pytest.mark.parametrize("value", [-1, 2**64, 10**30])
@pytest.mark.parametrize("name", ["sequence_id", "priority", "timeout"])
def test_controls_beyond_64_bits(name: str, value: int) -> None:
    assert refusal({name: value}).code is Code.INTERNAL


@pytest.mark.parametrize("name", ["triton_", "triton_x"])
def test_reserved_names(name: str) -> None:
    assert refusal({name: 1}).message == (
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified."
    )


@pytest.mark.parametrize("value", [None, [], {}])
def test_values_that_are_no_parameter(value: Any) -> None:
    text = "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'."
    assert refusal({"x": value}).message == text


def test_the_first_mistake_is_reported() -> None:
    assert refusal({"x": {}, "priority": -1}).code is Code.INVALID_ARG
    assert refusal({"priority": -1, "x": {}}).code is Code.INTERNAL


@pytest.mark.parametrize("parameters", [5, None, []])
def test_parameters_are_an_object(parameters: Any) -> None:
    assert refusal(parameters).message == "failed to get request params.: attempt to get members for non-object"
