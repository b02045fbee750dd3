from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import LogFormat, LogSettings
from jupyter_pyserve.v2.logsettings import log_settings, parse_log_update

BEFORE = LogSettings(file="/l", verbose_level=2, format=LogFormat.ISO8601)


def test_settings_as_json() -> None:
    assert log_settings(BEFORE) == (
        b'{"log_file":"/l","log_info":true,"log_warning":true,"log_error":true,"log_verbose_level":2,'
        b'"log_format":"ISO8601"}'
    )


@pytest.mark.parametrize("body", [b"{}", b"[]", b"1", b'{"colour":7}', b'{"log_info":null,"log_file":null}'])
def test_what_changes_nothing(body: bytes) -> None:
    assert parse_log_update(body, BEFORE) == BEFORE


def test_a_change() -> None:
    body = b'{"log_info":false,"log_warning":false,"log_error":false,"log_verbose_level":1,"log_format":"default"}'
    after = parse_log_update(body, BEFORE)
    assert after == LogSettings(info=False, warning=False, error=False, verbose_level=1, file="/l")


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"log_file":"x"}', Code.UNSUPPORTED, "log file location can not be updated through network protocol"),
        (b'{"log_error":1}', Code.INTERNAL, "attempt to access JSON non-boolean as boolean"),
        (
            b'{"log_verbose_level":-1}',
            Code.INTERNAL,
            "attempt to access JSON non-unsigned-integer as unsigned-integer",
        ),
        (b'{"log_format":7}', Code.INTERNAL, "attempt to access JSON non-string as string"),
        (b'{"log_format":"foo"}', Code.UNAVAILABLE, "invalid argument for --log_format, got: foo"),
    ],
)
def test_refusals(body: bytes, code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        parse_log_update(body, BEFORE)
    assert (refusal.value.code, refusal.value.message) == (code, text)


@pytest.mark.parametrize(("sent", "kept"), [(2**31 - 1, 2**31 - 1), (2**32 - 1, 0), (2**32 + 5, 5)])
def test_levels_are_kept_in_32_bits(sent: int, kept: int) -> None:
    assert parse_log_update(b'{"log_verbose_level":%d}' % sent, BEFORE).verbose_level == kept
