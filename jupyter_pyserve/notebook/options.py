"""The words after `%pyserve` and `%%pyserve`: their grammar, their help, and what completion needs to know of them.

argparse does the work. Values only: nothing here touches an engine, a shell or a file.
"""

from __future__ import annotations

import argparse
import functools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.notebook.debugging.commands import add_options as add_debug_options

CONFIG_TYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "STRING", "BF16",
)  # fmt: skip
_SYNONYMS = {"BYTES": "STRING"}
_LIKELY = {"FLOAT16": "FP16", "FLOAT32": "FP32", "FLOAT": "FP32", "FLOAT64": "FP64", "DOUBLE": "FP64"}
_LIKELY |= {"BFLOAT16": "BF16", "STR": "STRING", "OBJECT": "STRING", "INT": "INT64", "BOOLEAN": "BOOL"}
_TENSOR = re.compile(r"(?P<name>.+):(?P<type>\w+):\[?(?P<dims>[-\d,\s]+)\]?(?P<optional>:optional)?")
_TENSOR_FORM = "NAME:TYPE:DIMS, like INPUT0:FP32:-1 or IMAGE:UINT8:224,224,3 or MASK:BOOL:-1:optional"


class HelpRequest(Exception):
    """`--help`: the text to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorOption:
    """One `--input` or `--output`; `data_type` as in config.pbtxt, without its TYPE_ prefix."""

    name: str
    data_type: str
    dims: tuple[int, ...]
    optional: bool = False


def tensor(text: str) -> TensorOption:
    """Parse NAME:TYPE:DIMS; a name may have colons of its own."""
    match = _TENSOR.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not {_TENSOR_FORM}")
    data_type = match["type"].upper().removeprefix("TYPE_")
    data_type = _SYNONYMS.get(data_type, data_type)
    if data_type not in CONFIG_TYPES:
        likely = f" (did you mean {_LIKELY[data_type]}?)" if data_type in _LIKELY else ""
        raise argparse.ArgumentTypeError(f"'{match['type']}' is not a type{likely}: {', '.join(CONFIG_TYPES)}")
    dims = _integers(match["dims"])
    if any(dim == 0 or dim < -1 for dim in dims):
        raise argparse.ArgumentTypeError(f"'{text}': a dimension is a number from 1 up, or -1 for any")
    return TensorOption(name=match["name"], data_type=data_type, dims=dims, optional=match["optional"] is not None)


def key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value


def _integers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of whole numbers like 4,8") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 up")
    return int(text)


class _Parser(argparse.ArgumentParser):
    """argparse without its exits: a magic raises and prints nothing by itself."""

    def error(self, message: str) -> NoReturn:
        raise PyServeError(Code.INVALID_ARG, f"{message}\n{self.format_usage().strip()}")

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
    group.add_argument("--input", action="append", type=tensor, default=[], metavar="NAME:TYPE:DIMS", help=_TENSOR_FORM)
    group.add_argument("--output", action="append", type=tensor, default=[], metavar="NAME:TYPE:DIMS", help="likewise")
    group.add_argument("--max-batch-size", type=_count, metavar="N", help="0, the default: the model sees no batches")
    group.add_argument("--instances", type=_count, metavar="N", help="how many processes run the model (default 1)")
    group.add_argument("--kind", choices=("CPU", "GPU"), help="where they run (default CPU)")
    group.add_argument("--dynamic-batching", action="store_true", help="let requests wait for each other")
    group.add_argument("--preferred-batch-size", type=_integers, metavar="N,N", help="implies --dynamic-batching")
    group.add_argument("--max-queue-delay-us", type=_count, metavar="N", help="implies --dynamic-batching")
    group.add_argument("--decoupled", action="store_true", help="any number of responses to a request")
    group.add_argument("--parameter", action="append", type=key_value, default=[], metavar="K=V", help="for initialize")


def _line_parser() -> tuple[_Parser, dict[str, _Parser]]:
    parser, commands = _parser("%pyserve", "Serve Python models from this notebook.")
    _add_wait(_add(commands, "deploy", "put the model of a cell into service, or its newest edit", model=True))
    _add(commands, "list", "all models, one line each")
    _add(commands, "status", "versions, instances, addresses of a model, or of everything", model=False)
    logs = _add(commands, "logs", "what a model printed and logged, by instance", model=False)
    logs.add_argument("-n", "--lines", type=_count, default=50, metavar="N", help="how many lines (default 50)")
    logs.add_argument("--instance", metavar="I", help="only this instance")
    undeploy = _add(commands, "undeploy", "take a model out of service", model=True)
    undeploy.add_argument("--delete", action="store_true", help="and delete its directory in the model repository")
    _add(commands, "load", "load a model that is in the model repository", model=True)
    _add(commands, "unload", "unload a model; it stays in the model repository", model=True)
    restart = _add(commands, "restart", "stop a model's processes and start new ones", model=True)
    restart.add_argument("--force", action="store_true", help="at once: what they are executing fails")
    add_debug_options(functools.partial(_add, commands))
    _add(commands, "help", "this text")
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
        "--wait", type=_count, default=60, metavar="S", help="seconds that the cell waits; then it goes on by itself"
    )


_LINE, LINE_COMMANDS = _line_parser()
_CELL, CELL_COMMANDS = _cell_parser()


def parse_line(line: str) -> argparse.Namespace:
    return _LINE.parse_args(_split(line) or ["help"])


def parse_cell(line: str) -> argparse.Namespace:
    return _CELL.parse_args(_split(line))


def option_words(parser: argparse.ArgumentParser) -> list[str]:
    """`--x` and `-x` of one command, for completion."""
    return sorted(word for action in parser._actions for word in action.option_strings)


def help_text() -> str:
    """All of it, for `%pyserve help` and for `%pyserve?`."""
    usages = "".join(LINE_COMMANDS[name].format_usage() for name in ("deploy", "logs", "undeploy", "restart"))
    return "\n".join([_LINE.format_help(), usages, _CELL.format_help(), CELL_COMMANDS["model"].format_help()])


def _split(line: str) -> Sequence[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise PyServeError(Code.INVALID_ARG, f"{str(error).lower()} in: {line}") from error
