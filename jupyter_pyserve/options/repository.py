"""The command line's options of model repositories: where models are, which are loaded, and when, by Triton's names."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from jupyter_pyserve.options.types import number, parse_bool, whole_number
from jupyter_pyserve.settings import ControlMode, EngineSettings


class BadRepositoryOptions(ValueError):
    """Options that do not go together; the text is Triton's."""


class RepositorySettings(NamedTuple):
    """What these options say of the engine, by the names of its settings."""

    model_repositories: tuple[str, ...]
    control_mode: ControlMode
    load_models: tuple[str, ...]
    model_config_name: str
    load_thread_count: int
    load_retry_count: int
    model_namespacing: bool
    poll_interval_s: float
    exit_on_error: bool
    strict_readiness: bool


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    defaults = EngineSettings()
    add = parser.add_argument
    add("--model-repository", "--model-store", action="append", default=[], metavar="DIR", help="may be repeated")
    add(
        "--model-control-mode",
        type=_control_mode,
        default=defaults.control_mode,
        metavar="MODE",
        help="none, poll or explicit",
    )
    add("--repository-poll-secs", type=number, default=defaults.poll_interval_s, help="of control mode poll")
    add("--load-model", action="append", default=[], metavar="NAME", help="explicit mode: load at start; '*' is all")
    add("--model-config-name", default=defaults.model_config_name)
    add("--model-load-thread-count", type=whole_number, default=defaults.load_thread_count)
    add("--model-load-retry-count", type=whole_number, default=defaults.load_retry_count)
    add("--model-namespacing", type=parse_bool, default=defaults.model_namespacing, metavar="BOOL")
    add("--exit-on-error", type=parse_bool, default=defaults.exit_on_error, metavar="BOOL")
    add("--strict-readiness", type=parse_bool, default=defaults.strict_readiness, metavar="BOOL")


def repository_settings(options: argparse.Namespace) -> RepositorySettings:
    """Raises `BadRepositoryOptions`."""
    mode: ControlMode = options.model_control_mode
    if options.load_model and mode is not ControlMode.EXPLICIT:
        raise BadRepositoryOptions(
            "Error: Use of '--load-model' requires setting '--model-control-mode=explicit' as well."
        )
    if not options.model_repository:
        raise BadRepositoryOptions("error: creating server: Invalid argument - --model-repository must be specified")
    if "*" in options.load_model and len({*options.load_model}) > 1:
        raise BadRepositoryOptions(
            "error: creating server: Invalid argument - Wildcard model name '*' must be the ONLY startup model "
            "if specified at all."
        )
    return RepositorySettings(
        model_repositories=tuple(dict.fromkeys(options.model_repository)),
        control_mode=mode,
        load_models=tuple(options.load_model),
        model_config_name=options.model_config_name,
        load_thread_count=max(1, options.model_load_thread_count),
        load_retry_count=max(0, options.model_load_retry_count),
        model_namespacing=options.model_namespacing,
        poll_interval_s=options.repository_poll_secs,
        exit_on_error=options.exit_on_error,
        strict_readiness=options.strict_readiness,
    )


def _control_mode(text: str) -> ControlMode:
    try:
        return ControlMode(text.lower())
    except ValueError:
        raise argparse.ArgumentTypeError("invalid argument for --model-control-mode") from None
