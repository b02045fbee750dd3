"""The words after `%pyserve` and `%%pyserve`: their grammar, their help, and what completion needs to know of them.

argparse does the work. Values only: nothing here touches an engine, a shell or a file.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import shlex
from collections.abc import Container, Iterable, Sequence
from typing import NoReturn

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.argument_types import TENSOR_FORM, count, integers, key_value, tensor
from jupyter_pyserve.notebook.commands import expressions
from jupyter_pyserve.notebook.commands.table import add_options


class HelpRequest(Exception):
    """`--help`: the text to show."""


class _Parser(argparse.ArgumentParser):
    """argparse without its exits: a magic raises and prints nothing by itself."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        words = {word for parser in self._parsers() for action in parser._actions for word in action.option_strings}
        near = nearest(unknown.split()[0], words) if unknown != message and unknown.startswith("-") else None
        meant = f" (did you mean {near}?)" if near else ""
        raise PyServeError(Code.INVALID_ARG, f"{message}{meant}\n{self.format_usage().strip()}")

    def _parsers(self) -> list[argparse.ArgumentParser]:
        """This one and those of its commands, which leave the complaint about a word to this one."""
        choices = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return [self, *(parser for found in choices for parser in (found or {}).values())]

    def print_help(self, file: object = None) -> None:
        raise HelpRequest(self.format_help())


def _parser(prog: str, description: str) -> tuple[_Parser, argparse._SubParsersAction[_Parser]]:
    parser = _Parser(prog=prog, description=description, allow_abbrev=False, formatter_class=_formatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser, required=True)
    return parser, commands


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=34, width=110)


def _add(commands: argparse._SubParsersAction[_Parser], name: str, text: str, *, model: bool | None = None) -> _Parser:
    """A command; `model`: True takes a NAME, False may take one, None takes none."""
    parser = commands.add_parser(name, help=text, description=text, allow_abbrev=False, formatter_class=_formatter)
    if model is not None:
        parser.add_argument("name", metavar="NAME", nargs=None if model else "?", help="the model")
    return parser


def _add_config_options(parser: _Parser) -> None:
    group = parser.add_argument_group("what config.pbtxt says (not together with --config)")
    group.add_argument("--input", action="append", type=tensor, default=[], metavar="NAME:TYPE:DIMS", help=TENSOR_FORM)
    group.add_argument("--output", action="append", type=tensor, default=[], metavar="NAME:TYPE:DIMS", help="likewise")
    group.add_argument("--max-batch-size", type=count, metavar="N", help="0, the default: the model sees no batches")
    group.add_argument("--instances", type=count, metavar="N", help="how many processes run the model (default 1)")
    group.add_argument("--kind", choices=("CPU", "GPU"), help="where they run (default CPU)")
    group.add_argument("--dynamic-batching", action="store_true", help="let requests wait for each other")
    group.add_argument("--preferred-batch-size", type=integers, metavar="N,N", help="implies --dynamic-batching")
    group.add_argument("--max-queue-delay-us", type=count, metavar="N", help="implies --dynamic-batching")
    group.add_argument("--decoupled", action="store_true", help="any number of responses to a request")
    group.add_argument("--parameter", action="append", type=key_value, default=[], metavar="K=V", help="for initialize")


def _line_parser() -> tuple[_Parser, dict[str, _Parser]]:
    parser, commands = _parser("%pyserve", "Serve Python models from this notebook.")
    _add_wait(_add(commands, "deploy", "put the model of a cell into service, or its newest edit", model=True))
    add_options(functools.partial(_add, commands))
    asked = _add(commands, "help", "this text, or that of one command")
    asked.add_argument("topic", metavar="COMMAND", nargs="?", help="of %%pyserve or %%%%pyserve")
    return parser, commands.choices


def _cell_parser() -> tuple[_Parser, dict[str, _Parser]]:
    parser, commands = _parser("%%pyserve", "A model, or its configuration, written in a cell.")
    model = _add(commands, "model", "the cell is a model.py with a class TritonPythonModel", model=True)
    _add_config_options(model)
    model.add_argument("--config", metavar="FILE", help="a config.pbtxt, instead of the options above")
    model.add_argument("--deploy", action="store_true", help="deploy it at once")
    model.add_argument("--no-include", action="store_true", help="take nothing along from other cells")
    _add_wait(model)
    _add(commands, "config", "the cell is a config.pbtxt for the model NAME", model=True)
    return parser, commands.choices


def _add_wait(parser: _Parser) -> None:
    parser.add_argument(
        "--wait", type=count, default=60, metavar="S", help="seconds that the cell waits; then it goes on by itself"
    )


_LINE, LINE_COMMANDS = _line_parser()
_CELL, CELL_COMMANDS = _cell_parser()


#: Those whose lines hold Python expressions.
_WITH_EXPRESSIONS = ("infer", "bench")


def has_expressions(line: str) -> bool:
    """Whether the rest of a line is for Python to read."""
    return line.split(maxsplit=1)[:1] in [[command] for command in _WITH_EXPRESSIONS]


def parse_line(line: str) -> argparse.Namespace:
    """The words after `%pyserve`; `expressions` of those commands that take some are the inputs, by name."""
    command = line.split(maxsplit=1)[0] if line.strip() else "help"
    _check_command(command, LINE_COMMANDS, CELL_COMMANDS, "%pyserve")
    if command in _WITH_EXPRESSIONS:
        return _parse_expressions(line, LINE_COMMANDS[command])
    if command != "serve":
        return _LINE.parse_args(_split(line) or ["help"])
    args, others = _LINE.parse_known_args(_split(line))
    args.options = others
    return args


def parse_cell(line: str) -> argparse.Namespace:
    if line.strip():
        _check_command(line.split(maxsplit=1)[0], CELL_COMMANDS, LINE_COMMANDS, "%%pyserve")
    return _CELL.parse_args(_split(line))


def _parse_expressions(line: str, parser: argparse.ArgumentParser) -> argparse.Namespace:
    with_value = [word for action in parser._actions if action.nargs != 0 for word in action.option_strings]
    words, found = expressions.split(line, with_value)
    args = _LINE.parse_args(words)
    if args.inputs:
        problem = f"'{' '.join(args.inputs)}' names no input: write INPUT0={' '.join(args.inputs)}"
        raise PyServeError(Code.INVALID_ARG, f"{problem}\n{parser.format_usage().strip()}")
    args.expressions = found
    return args


def _check_command(word: str, known: Container[str], others: Container[str], magic: str) -> None:
    """One that is not there may be meant for a cell, or be a slip of the fingers."""
    if word.startswith("-") or word in known:
        return
    if word in others:
        is_line = magic == "%pyserve"
        where = f"a whole cell: %%pyserve {word} in its first line" if is_line else f"a line: %pyserve {word}"
        raise PyServeError(Code.INVALID_ARG, f"'{word}' is for {where}. %pyserve help {word} tells more")
    near = nearest(word, [*LINE_COMMANDS, *CELL_COMMANDS])
    meant = f"did you mean '{near}'? " if near else ""
    raise PyServeError(Code.INVALID_ARG, f"'{word}' is no command of {magic}: {meant}%pyserve help lists them all")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """What may have been meant."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def option_words(parser: argparse.ArgumentParser) -> list[str]:
    """`--x` and `-x` of one command, for completion."""
    return sorted(word for action in parser._actions for word in action.option_strings)


def help_text(topic: str | None = None) -> str:
    """All of it, for `%pyserve help` and for `%pyserve?`; or that of one command."""
    if topic is None:
        usages = "".join(LINE_COMMANDS[name].format_usage() for name in ("deploy", "infer", "logs", "scale", "bench"))
        more = "%pyserve help COMMAND tells all about one of them."
        return "\n".join(
            [_LINE.format_help(), usages, more, "", _CELL.format_help(), CELL_COMMANDS["model"].format_help()]
        )
    found = LINE_COMMANDS.get(topic) or CELL_COMMANDS.get(topic)
    if found is None:
        _check_command(topic, (), (), "%pyserve")
        raise AssertionError(topic)
    return found.format_help()


def _split(line: str) -> Sequence[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise PyServeError(Code.INVALID_ARG, f"{str(error).lower()} in: {line}") from error
