from __future__ import annotations

import json

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.settings import TraceMode, TraceSettings
from jupyter_pyserve.v2.tracesettings import (
    TraceChanges,
    check_trace,
    parse_trace_update,
    trace_settings,
)

SAID = TraceChanges(rate=5)


def update(**members: object) -> TraceChanges:
    return parse_trace_update(json.dumps(members).encode(), SAID)


def test_settings_as_json() -> None:
    assert trace_settings(TraceSettings(levels=("TIMESTAMPS",), file="/t")) == (
        b'{"trace_level":["TIMESTAMPS"],"trace_rate":"1000","trace_count":"-1","log_frequency":"0","trace_file":"/t",'
        b'"trace_mode":"triton"}'
    )


def test_a_change_and_taking_it_back() -> None:
    changed = update(trace_level=["TENSORS", "FOO"], trace_count="7", log_frequency="3")
    assert changed == TraceChanges(levels=("TENSORS",), rate=5, count=7, log_frequency=3)
    assert update(trace_rate=None) == TraceChanges()
    assert update(colour="x") == SAID


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("12abc", 12), (" 7", 7), ("-1", 2**32 - 1), ("4294967295", 2**32 - 1)]
)
def test_rates(text: str, number: int) -> None:
    assert update(trace_rate=text).rate == number


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        (
            {"trace_file": None},
            Code.UNSUPPORTED,
            "trace file location can not be updated through network protocol",
        ),
        ({"trace_level": "OFF"}, Code.INTERNAL, "attempt to access JSON non-array as array"),
        ({"trace_level": [1]}, Code.INTERNAL, "attempt to access JSON non-string as string"),
        ({"trace_level": ["OFF", "x"]}, Code.INVALID_ARG, "Expect only one trace level 'OFF' is specified"),
        ({"trace_rate": 5}, Code.INTERNAL, "attempt to access JSON non-string as string"),
        ({"trace_rate": ""}, Code.INVALID_ARG, "Unable to parse 'trace_rate', got: "),
        (
            {"log_frequency": "4294967296"},
            Code.INVALID_ARG,
            "Unable to parse 'log_frequency', value is out of range [ 0, 4294967295 ], got: 4294967296",
        ),
        ({"trace_count": "-2"}, Code.INVALID_ARG, "Unable to parse 'trace_count'. Expecting value >= -1, got:-2"),
        (
            {"trace_count": "2147483648"},
            Code.INVALID_ARG,
            "Unable to parse 'trace_count', value is out of range [ -1, 2147483647 ], got: 2147483648",
        ),
    ],
)
def test_refusals(members: dict[str, object], code: Code, text: str) -> None:
    with pytest.raises(PyServeError) as refusal:
        update(**members)
    assert (refusal.value.code, refusal.value.message) == (code, text)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (TraceSettings(levels=("TENSORS",)), "trace file name is not given"),
        (TraceSettings(levels=("TENSORS",), rate=0), "sample rate must be non-zero"),
    ],
)
def test_settings_that_cannot_be_carried_out(settings: TraceSettings, reason: str) -> None:
    with pytest.raises(PyServeError, match=f"^Attempting to set invalid trace setting :{reason}$"):
        check_trace(settings)


@pytest.mark.parametrize(
    "settings",
    [
        TraceSettings(rate=0),
        TraceSettings(levels=("TENSORS",), file="/t"),
        TraceSettings(levels=("TENSORS",), mode=TraceMode.OPENTELEMETRY),
    ],
)
def test_settings_that_can(settings: TraceSettings) -> None:
    check_trace(settings)


def test_settings_of_spans_stand_as_often_as_they_were_given() -> None:
    options = (("url", "u"), ("resource", "a=b"), ("resource", "c=d"))
    settings = TraceSettings(rate=1, mode=TraceMode.OPENTELEMETRY, options=options)
    assert trace_settings(settings) == (
        b'{"trace_level":["OFF"],"trace_rate":"1","trace_count":"-1","trace_mode":"opentelemetry","url":"u",'
        b'"resource":"a=b","resource":"c=d"}'
    )
