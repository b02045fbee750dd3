"""Log and trace settings as protobuf maps: what a change says, and the settings as the JSON trees of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import LogSettings, TraceSettings
from jupyter_pyserve.v2.logsettings import log_format, log_settings_dict, verbose_level
from jupyter_pyserve.v2.tracesettings import (
    TraceChanges,
    count,
    trace_levels,
    trace_settings_lists,
    unsigned,
)

_NO_FILE: Final = "file location can not be updated through network protocol"
_KINDS: Final = {"bool_param": "boolean", "uint32_param": "int32", "string_param": "string"}


def log_changes(given: Mapping[str, Any], current: LogSettings) -> LogSettings:
    """What the log settings become; names that are not known are not minded."""
    if "log_file" in given:
        raise PyServeError(Code.UNSUPPORTED, f"log {_NO_FILE}")
    changes: dict[str, Any] = {}
    for flag in ("info", "warning", "error"):
        if f"log_{flag}" in given:
            changes[flag] = _value(given, f"log_{flag}", "bool_param")
    if "log_verbose_level" in given:
        changes["verbose_level"] = verbose_level(_value(given, "log_verbose_level", "uint32_param"))
    if "log_format" in given:
        changes["format"] = log_format(
            _value(given, "log_format", "string_param"), name="log_format", code=Code.INVALID_ARG
        )
    return replace(current, **changes)


def log_response(settings: LogSettings) -> dict[str, Any]:
    """The tree of a LogSettingsResponse."""
    kinds = {bool: "bool_param", int: "uint32_param", str: "string_param"}
    return {"settings": {name: {kinds[type(value)]: value} for name, value in log_settings_dict(settings).items()}}


def trace_changes(given: Mapping[str, Any], current: TraceChanges) -> TraceChanges:
    """What the changes become; a setting without a value is taken back."""
    if "trace_file" in given:
        raise PyServeError(Code.UNSUPPORTED, f"trace {_NO_FILE}")
    said: dict[str, Any] = {}
    if "trace_level" in given:
        levels = list(given["trace_level"].value)
        said["levels"] = trace_levels(levels) if levels else None
    for name, field, parse in (
        ("trace_rate", "rate", unsigned),
        ("trace_count", "count", partial(count, got="got: ")),
        ("log_frequency", "log_frequency", unsigned),
    ):
        if name in given:
            values = list(given[name].value)
            if len(values) > 1:
                raise PyServeError(Code.INVALID_ARG, f"expect only 1 value for '{name}'")
            said[field] = parse(name, values[0]) if values else None
    return replace(current, **said)


def trace_response(settings: TraceSettings) -> dict[str, Any]:
    """The tree of a TraceSettingResponse."""
    lists = trace_settings_lists(settings)
    return {"settings": {name: {"value": values} for name, values in lists.items()}}


def _value(given: Mapping[str, Any], name: str, kind: str) -> Any:
    if given[name].WhichOneof("parameter_choice") != kind:
        raise PyServeError(Code.INVALID_ARG, f"expect {_KINDS[kind]} for '{name}'")
    return getattr(given[name], kind)
