"""The command line's options of the log, by Triton's names."""

from __future__ import annotations

import argparse

from jupyter_pyserve.options.types import level, parse_bool
from jupyter_pyserve.settings import LogFormat, LogSettings


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    defaults = LogSettings()
    add = parser.add_argument
    add("--log-verbose", type=level, default=defaults.verbose_level, metavar="LEVEL", help="0 is off")
    add("--log-info", type=parse_bool, default=defaults.info, metavar="BOOL")
    add("--log-warning", type=parse_bool, default=defaults.warning, metavar="BOOL")
    add("--log-error", type=parse_bool, default=defaults.error, metavar="BOOL")
    add("--log-format", type=parse_log_format, default=defaults.format, metavar="FORMAT", help="default or ISO8601")
    add("--log-file", default=defaults.file, metavar="FILE", help="standard error when there is none")


def log_settings(options: argparse.Namespace) -> LogSettings:
    """What the options say."""
    return LogSettings(
        info=options.log_info,
        warning=options.log_warning,
        error=options.log_error,
        verbose_level=max(0, options.log_verbose),
        format=options.log_format,
        file=options.log_file,
    )


def parse_log_format(text: str) -> LogFormat:
    """A log format by its name."""
    try:
        return LogFormat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("invalid argument for --log-format") from None
