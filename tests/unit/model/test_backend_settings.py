from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.backend_settings import (
    DEFAULT_START_TIMEOUT_S,
    PythonBackendSettings,
    python_backend_settings,
)


def test_nothing_said() -> None:
    assert python_backend_settings(()) == PythonBackendSettings(start_timeout_s=DEFAULT_START_TIMEOUT_S)


def test_settings_that_an_old_start_script_has() -> None:
    given = [
        ("shm-default-byte-size", "1048576"),
        ("shm-growth-byte-size", "1"),
        ("shm-region-prefix-name", "prefix"),
        ("thread-pool-size", "1"),
        ("shm_message_queue_size", "1000"),
        ("colour", "red"),
    ]
    assert python_backend_settings(given) == PythonBackendSettings()


@pytest.mark.parametrize(("text", "seconds"), [("7", 7), ("1.5", 1), (" +9x", 9)])
def test_the_start_timeout(text: str, seconds: int) -> None:
    assert python_backend_settings([("stub-timeout-seconds", text)]).start_timeout_s == seconds


def test_the_last_word_counts() -> None:
    given = [("stub-timeout-seconds", "7"), ("stub-timeout-seconds", "8")]
    assert python_backend_settings(given).start_timeout_s == 8


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("shm-default-byte-size", "1048575", "shm-default-byte-size can't be smaller than 4 MiBs"),
        ("shm-default-byte-size", "abc", "stol"),
        ("shm-default-byte-size", "9" * 19, "stol"),
        ("shm-default-byte-size", "9" * 99, "stol"),
        ("shm-growth-byte-size", "0", "shm-growth-byte-size can't be smaller than or equal to zero."),
        ("stub-timeout-seconds", "0", "stub-timeout-seconds can't be smaller than or equal to zero."),
        ("stub-timeout-seconds", "-4", "stub-timeout-seconds can't be smaller than or equal to zero."),
        ("thread-pool-size", "0", "thread-pool-size can't be less than 1."),
        ("shm_message_queue_size", "q", "stol"),
        ("shm-region-prefix-name", "", "shm-region-prefix-name must at least contain one character."),
    ],
)
def test_refusals(key: str, text: str, message: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        python_backend_settings([(key, text)])
    assert (refusal.value.code, refusal.value.message) == (Code.INVALID_ARG, message)
