"""The logging extension: what a change of the server's log settings says, and the settings as JSON.

Values in, values out; what becomes of the settings is the engine's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import LogFormat, LogSettings
from jupyter_pyserve.v2 import jsonout, limits, members, rapidjson

_FLAGS: Final = ("info", "warning", "error")


def parse_log_update(
    body: bytes, current: LogSettings, *, max_json_bytes: int = limits.DEFAULT_MAX_INPUT_BYTES
) -> LogSettings:
    """What the settings become; a change that is refused changes nothing."""
    limits.check_json_size(len(body), max_json_bytes)
    wanted = members.object_or_empty(rapidjson.loads(body))
    given = {name: value for name, value in wanted.items() if value is not None}
    if "log_file" in given:
        raise PyServeError(Code.UNSUPPORTED, "log file location can not be updated through network protocol")
    changes: dict[str, Any] = {}
    for flag in _FLAGS:
        if (value := given.get(f"log_{flag}")) is not None:
            changes[flag] = _checked(value, type(value) is bool, members.NOT_BOOL)
    if (level := given.get("log_verbose_level")) is not None:
        changes["verbose_level"] = verbose_level(_checked(level, members.is_unsigned(level), members.NOT_UINT))
    if (text := given.get("log_format")) is not None:
        changes["format"] = log_format(_checked(text, type(text) is str, members.NOT_STRING), name="--log_format")
    return replace(current, **changes)


def verbose_level(number: int) -> int:
    """Triton keeps it in 32 bits with a sign, and takes what is negative then for nothing."""
    number %= 2**32
    return 0 if number >= 2**31 else number


def log_format(text: str, *, name: str, code: Code = Code.UNAVAILABLE) -> LogFormat:
    """The format that a text names; `name` is how the one who asked calls the setting, `code` what it hears else."""
    try:
        return LogFormat(text)
    except ValueError:
        raise PyServeError(code, f"invalid argument for {name}, got: {text}") from None


def log_settings(settings: LogSettings) -> bytes:
    """The settings as both verbs answer with them."""
    return jsonout.dumps(log_settings_dict(settings))


def log_settings_dict(settings: LogSettings) -> dict[str, bool | int | str]:
    """The settings by the names that clients know them by."""
    return {
        "log_file": settings.file,
        **{f"log_{flag}": getattr(settings, flag) for flag in _FLAGS},
        "log_verbose_level": settings.verbose_level,
        "log_format": settings.format.value,
    }


def _checked(value: Any, fits: bool, otherwise: str) -> Any:
    if not fits:
        raise PyServeError(Code.INTERNAL, otherwise)
    return value
