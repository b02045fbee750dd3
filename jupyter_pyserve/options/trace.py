"""The command line's options of traces, by Triton's names, with Triton's warnings and texts; the old names too."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from jupyter_pyserve.settings import TraceMode, TraceSettings

_LEVELS: Final = {
    **dict.fromkeys(("false", "off"), ""),
    **dict.fromkeys(("true", "on", "min", "max", "timestamps"), "TIMESTAMPS"),
    "tensors": "TENSORS",
}
#: Old option, how its value's part of the new one reads, and what it is called in the warning of both being there.
_OLD: Final = {
    "trace-file": ("triton,file=<filepath>", "file"),
    "trace-level": ("level=<OFF|TIMESTAMPS|TENSORS>", "level"),
    "trace-rate": ("rate=<rate value>", "rate value"),
    "trace-count": ("count=<count value>", "count"),
    "trace-log-frequency": ("triton,log-frequency=<log frequency value>", "log-frequency"),
}
#: Settings of how spans are sent in batches; the environment has the same ones as OTEL_BSP_...
_BATCH: Final = {"bsp_max_export_batch_size": "512", "bsp_schedule_delay": "5000", "bsp_max_queue_size": "2048"}
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]+")
_UINT32: Final = 2**32


class Setting(NamedTuple):
    """One `--trace-config`; without a mode it is for either."""

    mode: TraceMode | None
    name: str
    value: str


def add_trace_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    group = parser.add_argument_group("traces")
    group.add_argument(
        "--trace-config",
        type=parse_trace_config,
        action="append",
        default=[],
        metavar="[MODE,]SETTING=VALUE",
        help="level, rate, count, mode; triton,file; triton,log-frequency; opentelemetry,url and its kin",
    )
    for name in _OLD:
        types: dict[str, Any] = {"trace-file": str, "trace-level": trace_level}
        kind = types.get(name, whole_number)
        group.add_argument(f"--{name}", type=kind, action="append", default=[], help="deprecated", metavar="VALUE")


def trace_settings(options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> TraceSettings:
    """What the options say; ends the program for what they may not say."""
    given: list[Setting] = options.trace_config
    old = {name: getattr(options, name.replace("-", "_")) for name in _OLD}
    _warn_of(old)
    general = _chosen(given, None)
    modes = [_mode_of(item) for item in general if item.name == "mode"]
    mode = modes[-1] if modes else TraceMode.TRITON
    named = {item.name for item in (*general, *(_chosen(given, mode) if mode is TraceMode.TRITON else ()))}
    _warn_of_both(old, named, mode)
    levels = [*old["trace-level"], *(_checked("level", trace_level, item) for item in general if item.name == "level")]
    default = TraceSettings()
    return TraceSettings(
        levels=() if "" in levels else tuple(dict.fromkeys(sorted(levels, reverse=True))),
        rate=_last(old["trace-rate"], general, "rate", default.rate) % _UINT32,
        count=_last(old["trace-count"], general, "count", default.count),
        log_frequency=_last(
            old["trace-log-frequency"], _chosen(given, TraceMode.TRITON), "log-frequency", default.log_frequency
        )
        % _UINT32,
        file=_file(old["trace-file"], _chosen(given, TraceMode.TRITON)),
        mode=mode,
        options=_mode_options(_chosen(given, mode), mode, environment),
    )


def parse_trace_config(text: str) -> Setting:
    """One value of the option."""
    mode, comma, setting = text.partition(",") if "," in text else ("", "", text)
    if comma and not mode:
        form = "<trace mode>,<setting>=<value> or <setting>=<value>"
        raise argparse.ArgumentTypeError(f"No trace mode specified. --trace-config option format is {form}. Got {text}")
    found = _mode(mode) if comma else None
    name, _, value = setting.partition("=")
    if not name or not value:
        form = "'<trace mode>,<setting>=<value>'"
        raise argparse.ArgumentTypeError(f"--trace-config option format is {form}. Got {text}")
    return Setting(found, name, value)


def trace_level(text: str) -> str:
    """A level, or nothing for off."""
    try:
        return _LEVELS[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"invalid value for trace level option: {text}") from None


def whole_number(text: str) -> int:
    """A number; what follows it is not looked at."""
    found = _NUMBER.match(text)
    if found is None or not -(2**31) <= int(found[0]) < 2**31:
        raise argparse.ArgumentTypeError(f"Invalid option value. Got {text}")
    return int(found[0])


def _mode(text: str) -> TraceMode:
    try:
        return TraceMode(text.lower())
    except ValueError:
        known = 'Available options are "triton" and "opentelemetry"'
        raise argparse.ArgumentTypeError(f"invalid value for trace mode option: {text}. {known}") from None


def _chosen(given: Sequence[Setting], mode: TraceMode | None) -> list[Setting]:
    return [item for item in given if item.mode is mode]


def _mode_of(item: Setting) -> TraceMode:
    found: TraceMode = _checked("mode", _mode, item)
    return found


def _checked(name: str, parse: Any, item: Setting) -> Any:
    try:
        return parse(item.value)
    except argparse.ArgumentTypeError as error:
        _bad(f"--trace-config {name}", str(error))


def _bad(option: str, reason: str) -> NoReturn:
    print(f'Bad option: "{option}".\n{reason}', file=sys.stderr)
    sys.exit(1)


def _last(old: Sequence[int], given: Sequence[Setting], name: str, default: int) -> int:
    prefix = "triton," if name == "log-frequency" else ""
    numbers = [_checked(prefix + name, whole_number, item) for item in given if item.name == name]
    return int([default, *old, *numbers][-1])


def _file(old: Sequence[str], given: Sequence[Setting]) -> str:
    return ["", *old, *(item.value for item in given if item.name == "file")][-1]


def _mode_options(
    given: Sequence[Setting], mode: TraceMode, environment: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The mode's own settings as clients are shown them."""
    if mode is TraceMode.TRITON:
        return tuple((item.name, item.value) for item in given if item.name not in ("file", "log-frequency"))
    options = [(item.name, _batch_value(item) if item.name in _BATCH else item.value) for item in given]
    for name, default in _BATCH.items():
        if all(name != known for known, _ in options):
            variable = f"OTEL_{name.upper()}"
            try:
                options.append((name, str(whole_number(environment.get(variable) or default) % _UINT32)))
            except argparse.ArgumentTypeError as error:
                _bad(variable, str(error))
    return tuple(options)


def _batch_value(item: Setting) -> str:
    return str(_checked(f"opentelemetry,{item.name}", whole_number, item) % _UINT32)


def _warn_of(old: Mapping[str, Sequence[object]]) -> None:
    for name, (form, _) in _OLD.items():
        for _ in old[name]:
            _warn(
                f"'--{name}' has been deprecated and will be removed in future releases. Please use "
                f"'--trace-config {form} instead."
            )


def _warn_of_both(old: Mapping[str, Sequence[object]], named: set[str], mode: TraceMode) -> None:
    for name, (_, shown) in _OLD.items():
        if not old[name]:
            continue
        if name.removeprefix("trace-") in named:
            what = f"provided {shown} in --trace-config!"
            _warn(f"Overriding deprecated '--{name}' in favor of {what}")
        elif mode is TraceMode.OPENTELEMETRY and name in ("trace-file", "trace-log-frequency"):
            _warn(f"'--{name}' is deprecated and will be ignored with opentelemetry tracing mode.")


def _warn(text: str) -> None:
    print(f"Warning: {text}", file=sys.stderr)
