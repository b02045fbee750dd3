"""The engine's options as traits, made from the command line's own: `--log-verbose` is `PyServe.log_verbose`.

What the extension decides itself (where the engine listens, who stops it, who loads models) is not among them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from traitlets import Bool, Float, HasTraits, Int, List, TraitType, Unicode

from jupyter_pyserve.options.engine import add_engine_options
from jupyter_pyserve.options.types import parse_bool

#: Options of the same meaning stand among the traits of `PyServe` already, or are the extension's own affair.
_OWN: Final = frozenset(
    {
        *(
            "help",
            "model_repository",
            "model_control_mode",
            "repository_poll_secs",
            "exit_on_error",
            "exit_timeout_secs",
        ),
        *("allow_http", "http_address", "http_port", "reuse_http_port"),
        *("allow_grpc", "grpc_address", "grpc_port", "reuse_grpc_port"),
        *("allow_metrics", "metrics_address", "metrics_port"),
    }
)


def _options() -> dict[str, argparse.Action]:
    parser = argparse.ArgumentParser()
    add_engine_options(parser, http_port=0, grpc_port=0, metrics_port=None)
    return {action.dest: action for action in parser._actions if action.dest not in _OWN}


OPTIONS: Final[Mapping[str, argparse.Action]] = _options()


def _trait(action: argparse.Action) -> TraitType[Any, Any]:
    said = action.help or "see Triton's option of this name"
    text = f"`{action.option_strings[0]}`: {said.replace('%%', '%')}"
    if isinstance(action.default, list | dict | tuple):
        return List(Unicode(), help=text)
    if action.nargs == 0 or action.type is parse_bool:
        return Bool(bool(action.default), help=text)
    if action.default is None and callable(action.type) and str(action.type("1")) == "1":  # a number, or none
        return Int(None, allow_none=True, help=text)
    if isinstance(action.default, int):
        return Int(action.default, help=text)
    if isinstance(action.default, float):
        return Float(action.default, help=text)
    return Unicode("" if action.default is None else str(getattr(action.default, "value", action.default)), help=text)


EngineTraits = type(
    "EngineTraits",
    (HasTraits,),
    {"__module__": __name__, **{name: _trait(action).tag(config=True) for name, action in OPTIONS.items()}},
)
"""Has every option as a trait."""


def words(traits: HasTraits) -> list[str]:
    """The options that are not what they are by default, as the engine's command line has them."""
    found: list[str] = []
    for name, action in OPTIONS.items():
        value = getattr(traits, name)
        if value == traits.traits()[name].default():
            continue
        option = action.option_strings[0]
        if action.nargs == 0:
            found.append(option)
        else:
            found += [f"{option}={_word(item)}" for item in (value if isinstance(value, list) else [value])]
    return found


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
