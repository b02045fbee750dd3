"""The trace extension's settings: what a change says, what holds for a model, and the JSON of it.

Values in, values out. Whether anything is traced is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NoReturn

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.v2 import jsonout, limits, members, rapidjson

_LEVELS: Final = ("TIMESTAMPS", "TENSORS")
_MAX_UINT32: Final = 2**32 - 1
_MAX_INT32: Final = 2**31 - 1
_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]{1,40})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceChanges:
    """What was said for all models, or for one; None was not said."""

    levels: tuple[str, ...] | None = None
    rate: int | None = None
    count: int | None = None
    log_frequency: int | None = None

    def over(self, base: TraceSettings) -> TraceSettings:
        """The settings with these changes."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(base, **{name: value for name, value in said.items() if value is not None})


def parse_trace_update(
    body: bytes, current: TraceChanges, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES
) -> TraceChanges:
    """What the changes become; null takes one back."""
    limits.check_json_size(len(body), max_json_bytes)
    wanted = members.object_or_empty(rapidjson.loads(body))
    if "trace_file" in wanted:
        raise PyServeError(Code.UNSUPPORTED, "trace file location can not be updated through network protocol")
    said: dict[str, Any] = {}
    if "trace_level" in wanted:
        said["levels"] = _levels(wanted["trace_level"])
    for name, field, parse in (
        ("trace_rate", "rate", unsigned),
        ("trace_count", "count", count),
        ("log_frequency", "log_frequency", unsigned),
    ):
        if name in wanted:
            said[field] = None if wanted[name] is None else parse(name, _text(wanted[name]))
    return replace(current, **said)


def check_trace(settings: TraceSettings) -> None:
    """Refuse settings that say to trace and not how."""
    lacks_file = settings.mode is TraceMode.TRITON and not settings.file
    reason = "sample rate must be non-zero" if settings.rate == 0 else "trace file name is not given"
    if settings.levels and (settings.rate == 0 or lacks_file):
        raise PyServeError(Code.INVALID_ARG, f"Attempting to set invalid trace setting :{reason}")


def trace_levels(texts: list[str]) -> tuple[str, ...]:
    """The levels that these name; what is unknown is not minded."""
    if "OFF" in texts and len(texts) > 1:
        raise PyServeError(Code.INVALID_ARG, "Expect only one trace level 'OFF' is specified")
    return tuple(level for level in _LEVELS if level in texts)


def unsigned(name: str, text: str) -> int:
    """A 32-bit number; negative ones wrap around, as in Triton."""
    number = _number(name, text)
    if number > _MAX_UINT32 or number < -(2**63):
        _out_of_range(name, text, 0, _MAX_UINT32)
    return number % 2**32


def count(name: str, text: str, *, got: str = "got:") -> int:
    """How many traces are taken; -1 is no limit. `got` is how the front end's text for other ones goes on."""
    number = _number(name, text)
    if not -(2**31) <= number <= _MAX_INT32:
        _out_of_range(name, text, -1, _MAX_INT32)
    if number < -1:
        raise PyServeError(Code.INVALID_ARG, f"Unable to parse '{name}'. Expecting value >= -1, {got}{text}")
    return number


def trace_settings(settings: TraceSettings) -> bytes:
    """The settings as both verbs answer with them; what was given several times stands there as often."""
    members = [
        b"%b:%b" % (jsonout.dumps(name), jsonout.dumps(value))
        for name, values in trace_settings_lists(settings).items()
        for value in ([values] if name == "trace_level" else values)
    ]
    return b"{%b}" % b",".join(members)


def trace_settings_lists(settings: TraceSettings) -> dict[str, list[str]]:
    """The values of the settings by the names that clients know them by."""
    lists = {
        "trace_level": list(settings.levels) or ["OFF"],
        "trace_rate": [str(settings.rate)],
        "trace_count": [str(settings.count)],
    }
    if settings.mode is TraceMode.TRITON:
        lists |= {"log_frequency": [str(settings.log_frequency)], "trace_file": [settings.file]}
    lists["trace_mode"] = [settings.mode.value]
    for name, value in settings.options:
        lists.setdefault(name, []).append(value)
    return lists


def _levels(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if type(value) is not list:
        raise PyServeError(Code.INTERNAL, members.NOT_ARRAY)
    return trace_levels([_text(item) for item in value])


def _text(value: object) -> str:
    if type(value) is not str:
        raise PyServeError(Code.INTERNAL, members.NOT_STRING)
    return value


def _number(name: str, text: str) -> int:
    found = _NUMBER.match(text)
    if found is None:
        raise PyServeError(Code.INVALID_ARG, f"Unable to parse '{name}', got: {text}")
    return int(found.group(1))


def _out_of_range(name: str, text: str, low: int, high: int) -> NoReturn:
    raise PyServeError(
        Code.INVALID_ARG, f"Unable to parse '{name}', value is out of range [ {low}, {high} ], got: {text}"
    )
