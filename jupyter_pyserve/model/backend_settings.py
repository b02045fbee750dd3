"""What `--backend-config=python,KEY=VALUE` says: checked in Triton's words, and of it what has an effect here.

Settings of Triton's shared memory are checked and nothing else: this server's has no size to begin with, and no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError

#: Longer than anything that is not stuck takes to start; somebody who knows better says so.
DEFAULT_START_TIMEOUT_S: Final = 600

_LEADING_NUMBER: Final = re.compile(r"\s*([+-]?[0-9]+)")
_MIB: Final = 1 << 20

#: The smallest value of each number, and what is said of a smaller one.
_NUMBERS: Final = {
    "shm-default-byte-size": (_MIB, "can't be smaller than 4 MiBs"),
    "shm-growth-byte-size": (1, "can't be smaller than or equal to zero."),
    "stub-timeout-seconds": (1, "can't be smaller than or equal to zero."),
    "thread-pool-size": (1, "can't be less than 1."),
    "shm_message_queue_size": (1, "can't be less than 1."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonBackendSettings:
    """How long a model may take to be imported, and then to be initialised."""

    start_timeout_s: int = DEFAULT_START_TIMEOUT_S


def python_backend_settings(given: Iterable[tuple[str, str]]) -> PythonBackendSettings:
    """Check keys and values; raises with Triton's text. A key that nobody knows is not minded, as in Triton."""
    numbers: dict[str, int] = {}
    for key, text in given:
        if key in _NUMBERS:
            numbers[key] = _number(key, text)
        elif key == "shm-region-prefix-name" and not text:
            raise PyServeError(Code.INVALID_ARG, f"{key} must at least contain one character.")
    return PythonBackendSettings(start_timeout_s=numbers.get("stub-timeout-seconds", DEFAULT_START_TIMEOUT_S))


def _number(key: str, text: str) -> int:
    found = _LEADING_NUMBER.match(text)
    number = int(found.group(1)) if found is not None and len(found.group(1)) < 20 else None
    if number is None or abs(number) >= 2**63:
        raise PyServeError(Code.INVALID_ARG, "stol")
    smallest, otherwise = _NUMBERS[key]
    if number < smallest:
        raise PyServeError(Code.INVALID_ARG, f"{key} {otherwise}")
    return number
