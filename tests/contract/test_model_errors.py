"""Models that fail while they execute: who asked is told, and the model goes on."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.support.transport import Inference, Refused, Request

FAILED = "Failed to process the request(s) for model 'behave_0', message: "


def command(text: str) -> Request:
    return Request(model="behave", inputs={"COMMAND": np.array([text.encode()], object)})


def refused(inference: Inference, text: str) -> Refused:
    with pytest.raises(Refused) as refusal:
        inference.infer(command(text))
    return refusal.value


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("default", 500),
        ("unknown", 400),
        ("internal", 500),
        ("not_found", 404),
        ("invalid_arg", 400),
        ("unavailable", 503),
        ("unsupported", 501),
        ("already_exists", 400),
        ("cancelled", 400),
    ],
)
def test_error_responses_keep_their_code(inference: Inference, code: str, status: int) -> None:
    refusal = refused(inference, f"error_{code}")
    assert (refusal.message, refusal.status) == ("told you", status)


def test_an_error_wins_over_outputs(inference: Inference) -> None:
    assert refused(inference, "error_with_outputs").message == "error wins"


@pytest.mark.parametrize(
    ("name", "first_line"),
    [
        ("value_error", "ValueError: boom"),
        ("custom_error", "CustomError: made by hand"),
        ("key_error", "KeyError: 'missing'"),
        ("system_exit", "SystemExit: 3"),
        ("keyboard_interrupt", "KeyboardInterrupt: <EMPTY MESSAGE>"),
        ("quoted", 'ValueError: "quotes"\ttab \\ backslash ✓ é'),
    ],
)
def test_exceptions_are_told_with_their_place(inference: Inference, name: str, first_line: str) -> None:
    refusal = refused(inference, name)
    assert refusal.status == 500
    told = refusal.message.removeprefix(FAILED)
    assert told.splitlines()[:3] == [first_line, "", "At:"]
    assert re.search(rf"behave/1/failing\.py\(\d+\): {name}\n", told)
    assert re.search(r"behave/1/model\.py\(\d+\): execute\n", told)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("return_dict", "Expected a list in the execute return, found type '<class 'dict'>'."),
        ("return_tuple", "Expected a list in the execute return, found type '<class 'tuple'>'."),
        (
            "return_text_element",
            "Expected an 'InferenceResponse' object in the execute function return list, found type '<class 'str'>'.",
        ),
    ],
)
def test_what_execute_must_not_return(inference: Inference, name: str, message: str) -> None:
    refusal = refused(inference, name)
    assert (refusal.message, refusal.status) == (FAILED + message, 500)


@pytest.mark.parametrize("name", ["return_nothing_in_list", "return_too_many"])
def test_a_wrong_number_of_responses(inference: Inference, name: str) -> None:
    assert "do not match the number of InferenceRequest objects" in refused(inference, name).message


def test_an_error_from_another_thread(inference: Inference) -> None:
    with pytest.raises(Refused) as refusal:
        inference.infer(Request(model="later", inputs={"INPUT0": np.zeros(0, np.float32)}))
    assert (refusal.value.message, refusal.value.status) == ("nothing to double", 500)


@pytest.mark.parametrize("name", ["value_error", "system_exit", "keyboard_interrupt", "return_dict", "error_internal"])
def test_the_model_goes_on(inference: Inference, name: str) -> None:
    refused(inference, name)
    np.testing.assert_array_equal(inference.infer(command("declared"))["OUT"], np.array([1.5], np.float32))


def test_only_those_that_fail_fail(inference: Inference) -> None:
    good = Request(model="identity", inputs={"INPUT0": np.ones((1, 2), np.float32)})
    with pytest.raises(Refused):
        inference.infer_together([good, command("value_error"), good])
    np.testing.assert_array_equal(inference.infer(good)["OUTPUT0"], good.inputs["INPUT0"])
