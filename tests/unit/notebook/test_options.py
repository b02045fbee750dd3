from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.options import (
    CELL_COMMANDS,
    LINE_COMMANDS,
    HelpRequest,
    help_text,
    option_words,
    parse_cell,
    parse_line,
)


def test_a_whole_model_line() -> None:
    args = parse_cell(
        "model m --input A:FP32:-1 --input B:INT8:2 --output C:BOOL:1 --max-batch-size 8 --instances 2 --kind CPU "
        "--dynamic-batching --preferred-batch-size 4,8 --max-queue-delay-us 100 --decoupled --parameter 'k=v w' "
        "--deploy"
    )
    assert [item.name for item in args.input] == ["A", "B"]
    assert (args.command, args.name, args.max_batch_size, args.instances, args.kind) == ("model", "m", 8, 2, "CPU")
    assert (args.dynamic_batching, args.preferred_batch_size, args.max_queue_delay_us) == (True, (4, 8), 100)
    assert (args.decoupled, args.parameter, args.deploy, args.config) == (True, [("k", "v w")], True, None)


@pytest.mark.parametrize(
    ("parse", "line", "problem"),
    [
        (parse_line, "deploy", "required: NAME"),
        (parse_line, "logs m --instnace i", "did you mean --instance?"),
        (parse_line, "infer m 3", "write INPUT0=3"),
        (parse_line, "list m", "unrecognized arguments: m"),
        (parse_line, "logs m -n x", "not a whole number"),
        (parse_line, "deploy 'm", "no closing quotation in: deploy 'm"),
        (parse_cell, "", "required: COMMAND"),
        (parse_cell, "model m --input A", "NAME:TYPE:DIMS"),
        (parse_cell, "model m --instances -1", "is not a whole number"),
        (parse_cell, "model m --kind TPU", "invalid choice: 'TPU'"),
    ],
)
def test_a_wrong_line_is_one_error_with_the_usage(parse: object, line: str, problem: str) -> None:
    assert callable(parse)
    with pytest.raises(PyServeError) as caught:
        parse(line)
    assert caught.value.code is Code.INVALID_ARG
    assert problem in caught.value.message


def test_no_words_are_a_call_for_help() -> None:
    assert parse_line("  ").command == "help"


@pytest.mark.parametrize("line", ["--help", "deploy -h"])
def test_help_is_given_and_nothing_exits(line: str) -> None:
    with pytest.raises(HelpRequest, match="usage: %pyserve"):
        parse_line(line)


def test_the_help_names_every_command_and_option() -> None:
    text = help_text()
    for command in (*LINE_COMMANDS, *CELL_COMMANDS):
        assert command in text
    for word in option_words(CELL_COMMANDS["model"]):
        assert word in text
